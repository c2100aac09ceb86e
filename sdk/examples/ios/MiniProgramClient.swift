// What an iOS host does before it believes a document of the manifest service: the checks,
// in their order, with CryptoKit (iOS 14). Copy it. This project has no Swift to run it with:
// run sdk/vectors/envelope-v1.json and keys-v1.json in your own tests before you trust it.
//
// Store (sequence, issuedAt) of what was believed, and the trust, where only the app can write.
// Codable takes the last of two equal members: the strict vectors are not for it.

import CryptoKit
import Foundation

/// Names the check that failed. After expired: run what is installed, adopt nothing new. After any: remove nothing.
enum Failed: String, Error {
  case tooLarge = "TooLarge", signature = "Signature", type = "Type", malformed = "Malformed", appID = "AppID"
  case channel = "Channel", hostApp = "HostApp", rolledBack = "RolledBack", expired = "Expired", broken = "Broken"
}

struct Envelope: Decodable {
  struct Signature: Decodable {
    let keyid: String?
    let sig: String
  }
  let payloadType: String
  let payload: String
  let signatures: [Signature]
}

/// The members that the checks need; add those that the app acts upon.
struct ReleaseDocument: Decodable {
  let type, appID, channel, issuedAt, expiresAt: String
  let hostApps: [String]?
  let sequence: Int64
}

struct Seen { let sequence: Int64; let issuedAt: Date }
struct Expect { let appID, channel, hostApp: String; let seen: Seen?; let now: Date }
struct Verified { let document: ReleaseDocument; let payload: Data; let envelopeDigest, keyID: String }

struct Key {
  let keyID: String
  let key: P256.Signing.PublicKey
  let state: String
  let retireAfter: Date?

  init(pem: String, state: String, retireAfter: Date?) throws {
    guard let key = try? P256.Signing.PublicKey(pemRepresentation: pem) else { throw Failed.malformed }
    self.key = key
    self.state = state
    self.retireAfter = retireAfter
    keyID = hex(SHA256.hash(data: key.derRepresentation))
  }
}

private let maxDocument = 256 * 1024
private let maxEnvelope = (maxDocument + 2) / 3 * 4 + 16 * 1024

/// Makes the checks in their order, and returns what passed all of them.
func verify(_ raw: Data, _ expect: Expect, keys: [Key]) throws -> Verified {
  guard raw.count <= maxEnvelope else { throw Failed.tooLarge }
  guard let envelope = try? JSONDecoder().decode(Envelope.self, from: raw) else { throw Failed.signature }
  let (payload, keyID) = try open(envelope, keys, Failed.signature)
  guard envelope.payloadType == "application/vnd.miniprogram.release.v1+json" else { throw Failed.type }
  struct Kind: Decodable { let type: String }
  guard payload.count <= maxDocument, let kind = try? JSONDecoder().decode(Kind.self, from: payload) else { throw Failed.malformed }
  guard kind.type == (expect.channel == "trial" ? "miniprogram.trial/v1" : "miniprogram.release/v1") else { throw Failed.type }
  guard let document = try? JSONDecoder().decode(ReleaseDocument.self, from: payload), whole(document.sequence),
    let hostApps = document.hostApps
  else { throw Failed.malformed }
  let issued = try time(document.issuedAt)
  let expires = try time(document.expiresAt)
  guard expires > issued else { throw Failed.malformed }
  guard document.appID == expect.appID else { throw Failed.appID }
  guard document.channel == expect.channel else { throw Failed.channel }
  guard hostApps.contains(expect.hostApp) else { throw Failed.hostApp }
  if let seen = expect.seen, (document.sequence, issued) < (seen.sequence, seen.issuedAt) { throw Failed.rolledBack }
  guard expect.now < expires else { throw Failed.expired }
  return Verified(document: document, payload: payload, envelopeDigest: "sha256:" + hex(SHA256.hash(data: raw)), keyID: keyID)
}

/// Whom the app believes: number is that of the newest key document that was followed, 0 for none.
struct Trust {
  var number: Int64 = 0
  var keys: [Key]

  /// Trusts the keys that the app was built with.
  init(pins: [String]) throws { keys = try pins.map { try Key(pem: $0, state: "Active", retireAfter: nil) } }

  /// The keys whose signatures on documents count.
  func signing(_ now: Date) -> [Key] { keys.filter { $0.state != "Retiring" || now < $0.retireAfter! } }

  /// Goes along the answer of GET /v1/keys. When it throws, go on with what was trusted before.
  func following(_ answer: Data) throws -> Trust {
    struct Chain: Decodable { let documents: [Envelope] }
    guard answer.count <= 512 * 1024 else { throw Failed.tooLarge }
    guard let chain = try? JSONDecoder().decode(Chain.self, from: answer) else { throw Failed.malformed }
    guard chain.documents.count <= 64 else { throw Failed.tooLarge }
    var now = self
    var begun = false
    var last: Int64 = 0
    for envelope in chain.documents {
      let payload: Data
      do {
        // A key that retires vouches for no other: it might have been stolen.
        payload = try open(envelope, now.keys.filter { $0.state != "Retiring" }, Failed.broken).payload
      } catch {
        if begun { throw error }
        continue  // older than the pinned keys
      }
      let document = try KeyDocument(envelope.payloadType, payload)
      guard document.number > last else { throw Failed.malformed }
      last = document.number
      if last > number {
        now.number = last
        now.keys = document.trusted
      }
      begun = last >= number
    }
    if last == 0 && (number > 0 || !chain.documents.isEmpty) { throw Failed.broken }
    if last < number { throw Failed.rolledBack }
    return now
  }
}

private struct KeyDocument {
  let number: Int64
  let trusted: [Key]

  init(_ payloadType: String, _ payload: Data) throws {
    struct Listed: Decodable { let keyID, algorithm, publicKey, state: String; let retireAfter: String? }
    struct Document: Decodable { let type: String; let number: Int64; let keys: [Listed] }
    guard payloadType == "application/vnd.miniprogram.keys.v1+json",
      let document = try? JSONDecoder().decode(Document.self, from: payload),
      document.type == "miniprogram.keys/v1", whole(document.number),
      document.keys.contains(where: { $0.state == "Active" })
    else { throw Failed.malformed }
    number = document.number
    trusted = try document.keys.map { listed in
      guard listed.algorithm == "ECDSA-P256-SHA256", ["Next", "Active", "Retiring"].contains(listed.state) else { throw Failed.malformed }
      let after = listed.state == "Retiring" ? try time(listed.retireAfter ?? "") : nil
      let key = try Key(pem: listed.publicKey, state: listed.state, retireAfter: after)
      guard key.keyID == listed.keyID else { throw Failed.malformed }
      return key
    }
  }
}

/// Returns the payload of a DSSE envelope that one of the keys signed. Never read it before.
private func open(_ envelope: Envelope, _ keys: [Key], _ failure: Failed) throws -> (payload: Data, keyID: String) {
  guard envelope.signatures.count <= 16, let payload = base64(envelope.payload) else { throw failure }
  var signed = Data("DSSEv1 \(envelope.payloadType.utf8.count) \(envelope.payloadType) \(payload.count) ".utf8)
  signed.append(payload)
  for signature in envelope.signatures {
    guard let der = base64(signature.sig), let sig = try? P256.Signing.ECDSASignature(derRepresentation: der) else { continue }
    for key in keys where (signature.keyid ?? "").isEmpty || signature.keyid == key.keyID {
      if key.key.isValidSignature(sig, for: signed) { return (payload, key.keyID) }
    }
  }
  throw failure
}

private func base64(_ text: String) -> Data? {
  Data(base64Encoded: text.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/"))
}

private func whole(_ n: Int64) -> Bool { n > 0 && n < 1 << 53 }

private func time(_ text: String) throws -> Date {
  let pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"
  guard text.range(of: pattern, options: .regularExpression) != nil, let date = ISO8601DateFormatter().date(from: text) else {
    throw Failed.malformed
  }
  return date
}

private func hex<D: Sequence>(_ bytes: D) -> String where D.Element == UInt8 { bytes.map { String(format: "%02x", $0) }.joined() }
