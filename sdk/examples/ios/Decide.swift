// Who gets what of a document that was verified, and what the host has to do about it: the
// same order in every language. Copy it. Nobody has compiled it here: run sdk/vectors/decide-v1.json
// and bucket-v1.json in your own tests before you trust it.
//
// Texts are compared as bytes: for Swift, "é" is equal to "e" with an accent behind it.

import CryptoKit
import Foundation

/// The members that a decision needs. Decode it from Verified.payload.
struct Decidable: Decodable {
  struct Variant: Decodable {
    struct Platform: Decodable { let os: String; let minHostVersion, maxHostVersion: String? }
    struct Compatibility: Decodable { let minContainerVersion: String?; let platforms: [Platform]? }
    let delivery, versionCode: Int64
    let version, digest: String
    let compatibility: Compatibility?
  }
  struct Split: Decodable { let by, seed: String; let basisPoints: Int }
  struct Hashes: Decodable { let hashes: [String]? }
  struct Rule: Decodable { let attribute, `operator`: String; let values: [String]? }
  struct Part: Decodable { let list, digest: String }
  struct Audience: Decodable { let seed: String?; let include, exclude: Hashes?; let rules: [Rule]?; let parts: [Part]? }
  struct Window: Decodable { let start, end: String? }
  struct Recall: Decodable { let by, seed: String; let basisPoints: Int; let delivery: Int64; let digest: String?; let audience: Audience? }
  struct Tombstone: Decodable { let installed: String }
  let availability, decide: String
  let tombstone: Tombstone?
  let stable, target: Variant?
  let split: Split?
  let audience: Audience?
  let window: Window?
  let recalls: [Recall]?
  let fallbacks: [Variant]?
}

/// What is known of the user, the device and the host app; empty, 0 or nil: not known.
struct DecideRequest {
  var user = "", device = "", installedDigest = "", platform = "", hostVersion = "", containerVersion = ""
  var attributes: [String: String] = [:]
  var installedVersionCode: Int64 = 0
  var blocked = false  // the host app's own block
  var now: Date?  // nil: every window is closed
  var parts: [String: [String]]?  // by a part's digest, the hashes in it: only the manifest service has them
}

/// The variant is nil when none is due; the bucket is -1 when it did not come to that.
struct Decision { var action = "", cohort = "none", reason = "", bucket = -1, delivery: Int64 = 0; var variant: Decidable.Variant? }

/// The lists are too long for the document: ask the service to resolve.
struct ServiceDecides: Error {}

func decide(_ doc: Decidable, _ request: DecideRequest) throws -> Decision {
  let gone = unavailable(doc)
  if !gone.isEmpty || request.blocked {
    let removes = !gone.isEmpty && !request.installedDigest.isEmpty
    return Decision(action: removes ? "remove" : "none", reason: gone.isEmpty ? "HostBlocked" : gone)
  }
  if doc.decide == "Service" && request.parts == nil { throw ServiceDecides() }
  var decision = place(doc, request)
  let isStable = fit(&decision, doc, request)
  act(&decision, isStable, doc, request)
  return decision
}

private func unavailable(_ doc: Decidable) -> String {
  if ["Blocked", "Suspended", "Withdrawn"].contains(doc.availability) { return doc.availability }
  return doc.availability == "Removed" && doc.tombstone?.installed == "Remove" ? "Removed" : ""
}

/// Says which cohort the user is in, whatever the host app can run.
private func place(_ doc: Decidable, _ request: DecideRequest) -> Decision {
  func stable(_ reason: String, _ bucket: Int = -1) -> Decision { Decision(cohort: "stable", reason: reason, bucket: bucket) }
  if doc.availability == "Removed" { return stable("Retained") }
  guard doc.target != nil, let split = doc.split else { return stable("NoTarget") }
  if listed(doc.audience, "Exclude", request) { return stable("Excluded") }
  if listed(doc.audience, "Include", request) { return Decision(cohort: "target", reason: "Included") }
  for rule in doc.audience?.rules ?? [] where !holds(rule, attribute(request, rule.attribute)) { return stable("RuleNotMatched") }
  if !isOpen(doc.window, request.now) { return stable("WindowClosed") }
  let key = keyOf(request, split.by)
  if key.isEmpty { return stable("NoKey") }
  let at = bucket(seed: split.seed, key: key)
  return at < split.basisPoints ? Decision(cohort: "target", reason: "Bucketed", bucket: at) : stable("OutsideShare", at)
}

/// Chooses the variant of the cohort that the host app can run, and tells whether that is stable.
private func fit(_ d: inout Decision, _ doc: Decidable, _ request: DecideRequest) -> Bool {
  func due(_ variant: Decidable.Variant) { d.variant = variant; d.delivery = variant.delivery }
  if d.cohort == "target" {
    if let target = doc.target, fits(target, request) { due(target); return false }
    d.cohort = "stable"
    d.reason = "TargetIncompatible"
  }
  guard let stable = doc.stable else {
    d.cohort = "none"
    if d.reason == "TargetIncompatible" { d.reason = "Incompatible" }
    return false
  }
  if fits(stable, request) { due(stable); return true }
  var newest: Decidable.Variant?
  for v in doc.fallbacks ?? [] where fits(v, request) && (newest == nil || v.versionCode > newest!.versionCode) { newest = v }
  d.reason = newest == nil ? "Incompatible" : "Fallback"
  if let newest = newest { due(newest) } else { d.cohort = "none" }
  return false
}

/// Compares what is due with what is installed, and hears the recalls.
private func act(_ d: inout Decision, _ isStable: Bool, _ doc: Decidable, _ request: DecideRequest) {
  var recalled: Int64 = 0, named = false, takenBack = false
  let installed = request.installedDigest
  for r in doc.recalls ?? [] {
    let digest = r.digest ?? "", names = !digest.isEmpty && digest == installed
    guard names || hadTarget(r, request) else { continue }
    recalled = max(recalled, r.delivery)
    named = named || names
    // A recall that names its variant does not take away another one.
    takenBack = takenBack || names || (digest.isEmpty && !installed.isEmpty)
  }
  if isStable { d.delivery = max(d.delivery, recalled) }
  guard let variant = d.variant else {
    d.action = "none"
    if doc.stable == nil && takenBack { d.action = "remove"; d.reason = "Recalled" }
    return
  }
  let known = ([doc.stable, doc.target].compactMap { $0 } + (doc.fallbacks ?? [])).first { $0.digest == installed }
  let newer = (known?.versionCode ?? request.installedVersionCode) > variant.versionCode
  if variant.digest == installed { d.action = "none" }
  else if installed.isEmpty { d.action = "install" }
  else { d.action = d.cohort == "stable" && (named || newer) ? "rollback" : "update" }
}

private func hadTarget(_ r: Decidable.Recall, _ request: DecideRequest) -> Bool {
  if listed(r.audience, "Exclude", request) { return false }
  if listed(r.audience, "Include", request) { return true }
  let key = keyOf(request, r.by)
  return !key.isEmpty && bucket(seed: r.seed, key: key) < r.basisPoints
}

/// Tells whether the user is in a list, or in a part that continues it.
private func listed(_ audience: Decidable.Audience?, _ list: String, _ request: DecideRequest) -> Bool {
  guard let audience = audience, !request.user.isEmpty else { return false }
  let sum = Data(SHA256.hash(data: Data("\(audience.seed ?? ""):\(request.user)".utf8)).prefix(16)).base64EncodedString()
  let hash = sum.replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_").replacingOccurrences(of: "=", with: "")
  if ((list == "Include" ? audience.include : audience.exclude)?.hashes ?? []).contains(hash) { return true }
  return (audience.parts ?? []).contains { $0.list == list && (request.parts?[$0.digest] ?? []).contains(hash) }
}

private func same(_ a: String, _ b: String) -> Bool { a.utf8.elementsEqual(b.utf8) }

private func holds(_ rule: Decidable.Rule, _ value: String) -> Bool {
  guard let values = rule.values, let first = values.first, let last = values.last, !value.isEmpty else { return false }
  switch rule.operator {
  case "In": return values.contains { same($0, value) }
  case "NotIn": return !values.contains { same($0, value) }
  case "StartsWith": return values.contains { value.utf8.starts(with: $0.utf8) }
  case "AtLeast": return atLeast(value, first)
  case "AtMost": return atLeast(first, value)
  case "Between": return atLeast(value, first) && atLeast(last, value)
  default: return false
  }
}

private func isOpen(_ window: Decidable.Window?, _ now: Date?) -> Bool {
  guard let window = window else { return true }
  func at(_ text: String?) -> Date? { text.flatMap { ISO8601DateFormatter().date(from: $0) } }
  guard let now = now else { return false }
  return at(window.start).map { now >= $0 } ?? true && at(window.end).map { now < $0 } ?? true
}

private func fits(_ v: Decidable.Variant, _ request: DecideRequest) -> Bool {
  func field(_ value: String, _ name: String) -> String { value.isEmpty ? request.attributes[name] ?? "" : value }
  func meets(_ a: String, _ b: String, _ bound: String?) -> Bool { (bound ?? "").isEmpty || atLeast(a, b) }
  let container = v.compatibility?.minContainerVersion ?? "", platforms = v.compatibility?.platforms ?? []
  guard meets(field(request.containerVersion, "containerVersion"), container, container) else { return false }
  let host = field(request.hostVersion, "hostAppVersion"), os = field(request.platform, "platform")
  return platforms.isEmpty || platforms.contains { p in
    same(p.os, os) && meets(host, p.minHostVersion ?? "", p.minHostVersion) && meets(p.maxHostVersion ?? "", host, p.maxHostVersion)
  }
}

private func keyOf(_ request: DecideRequest, _ by: String) -> String {
  by == "user" ? request.user : by == "device" ? request.device : attribute(request, by)
}

private func attribute(_ request: DecideRequest, _ name: String) -> String {
  let fields = ["platform": request.platform, "hostAppVersion": request.hostVersion, "containerVersion": request.containerVersion]
  let given = request.attributes[name] ?? ""
  return given.isEmpty ? fields[name] ?? "" : given
}
