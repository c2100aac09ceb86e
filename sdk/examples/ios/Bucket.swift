// bucket/v1: a user's place from 0 to 9999. A user gets the target when it is below basisPoints.
// And versions: numbers between dots compared as numbers, missing ones are zero; after a hyphen a
// pre-release, which comes before, as in Semantic Versioning 2.0.0 section 11; after a plus sign
// nothing counts. Copy it, with Decide.swift.

import Foundation

/// Places a key; a split's seed comes from the document.
func bucket(seed: String, key: String) -> Int {
  Int((UInt64(murmur3(Array("\(seed):\(key)".utf8))) * 10000) >> 32)
}

/// murmur3_x86_32 with seed 0.
func murmur3(_ data: [UInt8]) -> UInt32 {
  func little(_ bytes: ArraySlice<UInt8>) -> UInt32 { bytes.reversed().reduce(0) { ($0 << 8) | UInt32($1) } }
  func mix(_ k: UInt32) -> UInt32 {
    let m = k &* 0xcc9e_2d51
    return ((m << 15) | (m >> 17)) &* 0x1b87_3593
  }
  let whole = data.count & ~3
  var h: UInt32 = 0
  for i in stride(from: 0, to: whole, by: 4) {
    h ^= mix(little(data[i..<i + 4]))
    h = (((h << 13) | (h >> 19)) &* 5) &+ 0xe654_6b64
  }
  h ^= mix(little(data[whole...]))
  h ^= UInt32(truncatingIfNeeded: data.count)
  h = (h ^ (h >> 16)) &* 0x85eb_ca6b
  h = (h ^ (h >> 13)) &* 0xc2b2_ae35
  return h ^ (h >> 16)
}

/// Compares versions; what is no version is not at least anything.
func atLeast(_ a: String, _ b: String) -> Bool {
  guard let left = parts(a), let right = parts(b) else { return false }
  let core = compare(left.core, right.core, missing: "0")
  if core != 0 { return core > 0 }
  guard let l = left.pre, let r = right.pre else { return left.pre == nil }  // the one without comes later
  return compare(l, r, missing: nil) >= 0
}

private func parts(_ text: String) -> (core: [String], pre: [String]?)? {
  let form = "\\A[0-9]+(\\.[0-9]+)*(-[0-9A-Za-z-]+(\\.[0-9A-Za-z-]+)*)?(\\+[0-9A-Za-z-]+(\\.[0-9A-Za-z-]+)*)?\\z"
  guard text.utf8.count <= 128, text.range(of: form, options: .regularExpression) != nil else { return nil }
  let version = text.split(separator: "+", maxSplits: 1)[0].split(separator: "-", maxSplits: 1)
  let all = version.map { $0.split(separator: ".").map(String.init) }
  return (all[0], all.count > 1 ? all[1] : nil)
}

private func compare(_ a: [String], _ b: [String], missing: String?) -> Int {
  for i in 0..<max(a.count, b.count) {
    guard let left = i < a.count ? a[i] : missing else { return -1 }
    guard let right = i < b.count ? b[i] : missing else { return 1 }
    let isNumber = [left, right].map { $0.utf8.allSatisfy { $0 >= 48 && $0 <= 57 } }
    if isNumber[0] != isNumber[1] { return isNumber[0] ? -1 : 1 }
    let order = isNumber[0] ? numbers(left, right) : left == right ? 0 : left < right ? -1 : 1
    if order != 0 { return order }
  }
  return 0
}

/// Compares numbers of any length.
private func numbers(_ a: String, _ b: String) -> Int {
  let left = String(a.drop { $0 == "0" }), right = String(b.drop { $0 == "0" })
  if left.count != right.count { return left.count < right.count ? -1 : 1 }
  return left == right ? 0 : left < right ? -1 : 1
}
