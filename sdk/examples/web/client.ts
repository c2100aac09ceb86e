// What a web host does before it believes a document of the manifest service: the checks,
// in their order, with WebCrypto alone. It is run against sdk/vectors. Copy it.
//
//	let trust = await pin(pems);                                     // built in
//	trust = await follow(trust, await (await fetch(keysURL)).text()); // once a day; store it
//	const doc = await verify(bytes, { appID, channel, hostApp, seen, now: Date.now() }, signingKeys(trust, Date.now()));
//
// Store {sequence, issuedAt} of what was believed, and trust, where only the app can write.

export type Code = "TooLarge" | "Signature" | "Type" | "Malformed" | "AppID" | "Channel" | "HostApp" | "RolledBack" | "Expired" | "Broken";

/** Failed names the check. After Expired: run what is installed, adopt nothing new. After any: remove nothing. */
export class Failed extends Error {
  constructor(readonly code: Code, detail: string) {
    super(`${code}: ${detail}`);
  }
}

export type Seen = { sequence: number; issuedAt: string };
export type Expect = { appID: string; channel: string; hostApp: string; seen?: Seen; now: number };
export type Verified = { document: any; envelopeDigest: string; keyID: string };
export type Key = { keyID: string; key: CryptoKey; state: "Next" | "Active" | "Retiring"; retireAfter?: number };
export type Trust = { number: number; keys: Key[] };

const releaseType = "application/vnd.miniprogram.release.v1+json";
const keysType = "application/vnd.miniprogram.keys.v1+json";
const maxDocument = 256 * 1024;
const maxEnvelope = Math.floor((maxDocument + 2) / 3) * 4 + 16 * 1024;
const utf8 = new TextEncoder();

/** verify makes the checks in their order, and returns what passed all of them. */
export async function verify(envelope: Uint8Array, expect: Expect, keys: Key[]): Promise<Verified> {
  if (envelope.length > maxEnvelope) throw new Failed("TooLarge", `${envelope.length} bytes`);
  const e = parse(text(envelope, "Signature"), "Signature");
  const { payload, keyID } = await open(e, keys, "Signature");
  if (e.payloadType !== releaseType) throw new Failed("Type", String(e.payloadType));
  if (payload.length > maxDocument) throw new Failed("Malformed", `${payload.length} bytes`);
  const doc = parse(text(payload, "Malformed"), "Malformed");
  const want = expect.channel === "trial" ? "miniprogram.trial/v1" : "miniprogram.release/v1";
  if (doc.type !== want) throw new Failed("Type", `${doc.type}, want ${want}`);
  const issued = time(doc.issuedAt);
  const expires = time(doc.expiresAt);
  const named = Array.isArray(doc.hostApps) && doc.hostApps.every((h: unknown) => typeof h === "string");
  if (!whole(doc.sequence) || !(expires > issued) || !named || typeof doc.appID !== "string") {
    throw new Failed("Malformed", "sequence, issuedAt, expiresAt, hostApps or appID");
  }
  if (doc.appID !== expect.appID) throw new Failed("AppID", doc.appID);
  if (doc.channel !== expect.channel) throw new Failed("Channel", String(doc.channel));
  if (!doc.hostApps.includes(expect.hostApp)) throw new Failed("HostApp", doc.hostApps.join());
  const { seen } = expect;
  if (seen && (doc.sequence < seen.sequence || (doc.sequence === seen.sequence && issued < time(seen.issuedAt)))) {
    throw new Failed("RolledBack", `${doc.sequence} of ${doc.issuedAt}, seen was ${seen.sequence} of ${seen.issuedAt}`);
  }
  if (expect.now >= expires) throw new Failed("Expired", doc.expiresAt);
  return { document: doc, envelopeDigest: "sha256:" + hex(await sha256(envelope)), keyID };
}

/** pin trusts the keys that the app was built with. */
export async function pin(pems: string[]): Promise<Trust> {
  return { number: 0, keys: await Promise.all(pems.map((pem) => readKey(pem, "Active"))) };
}

/** signingKeys are those whose signatures on documents count. */
export function signingKeys(trust: Trust, now: number): Key[] {
  return trust.keys.filter((k) => k.state !== "Retiring" || now < k.retireAfter!);
}

/** follow goes along the answer of GET /v1/keys. When it fails, go on with what was trusted before. */
export async function follow(trust: Trust, answer: string): Promise<Trust> {
  if (utf8.encode(answer).length > 512 * 1024) throw new Failed("TooLarge", "the chain");
  const { documents } = parse(answer, "Malformed");
  if (!Array.isArray(documents)) throw new Failed("Malformed", "documents");
  if (documents.length > 64) throw new Failed("TooLarge", `${documents.length} documents`);
  let now = trust;
  let begun = false;
  let last = 0;
  for (const e of documents) {
    let payload: Uint8Array;
    try {
      // A key that retires vouches for no other: it might have been stolen.
      payload = (await open(e, now.keys.filter((k) => k.state !== "Retiring"), "Broken")).payload;
    } catch (problem) {
      if (begun) throw problem;
      continue; // older than the pinned keys
    }
    if (e.payloadType !== keysType) throw new Failed("Malformed", String(e.payloadType));
    const doc = parse(text(payload, "Malformed"), "Malformed");
    if (doc.type !== "miniprogram.keys/v1" || !whole(doc.number) || doc.number <= last || !Array.isArray(doc.keys)) {
      throw new Failed("Malformed", "type, number or keys");
    }
    last = doc.number;
    const keys = await Promise.all(doc.keys.map(listed));
    if (!keys.some((k) => k.state === "Active")) throw new Failed("Malformed", "no key is Active");
    if (last > trust.number) now = { number: last, keys };
    begun = last >= trust.number;
  }
  if (last === 0 && (trust.number > 0 || documents.length > 0)) throw new Failed("Broken", "no document is by a trusted key");
  if (last < trust.number) throw new Failed("RolledBack", `${last}, ${trust.number} was followed`);
  return now;
}

async function listed(k: any): Promise<Key> {
  const states = ["Next", "Active", "Retiring"];
  if (!k || k.algorithm !== "ECDSA-P256-SHA256" || !states.includes(k.state)) throw new Failed("Malformed", "a key");
  const key = await readKey(String(k.publicKey), k.state);
  if (key.keyID !== k.keyID) throw new Failed("Malformed", "a key's ID is not that of the key");
  if (k.state === "Retiring") key.retireAfter = time(k.retireAfter);
  if (Number.isNaN(key.retireAfter)) throw new Failed("Malformed", "retireAfter");
  return key;
}

async function readKey(pem: string, state: Key["state"]): Promise<Key> {
  const der = base64(pem.replace(/-----(BEGIN|END) PUBLIC KEY-----|\s/g, ""), "Malformed");
  const curve = { name: "ECDSA", namedCurve: "P-256" };
  const key = await crypto.subtle.importKey("spki", der, curve, true, ["verify"]).catch(() => {
    throw new Failed("Malformed", "a public key");
  });
  return { keyID: hex(await sha256(der)), key, state };
}

/** open returns the payload of a DSSE envelope that one of the keys signed. Never read it before. */
async function open(e: any, keys: Key[], code: Code): Promise<{ payload: Uint8Array<ArrayBuffer>; keyID: string }> {
  const shaped = e && typeof e.payloadType === "string" && typeof e.payload === "string" && Array.isArray(e.signatures);
  if (!shaped || e.signatures.length > 16) throw new Failed(code, "no envelope");
  const payload = base64(e.payload, code);
  const type = utf8.encode(e.payloadType);
  const signed = concat(utf8.encode(`DSSEv1 ${type.length} `), type, utf8.encode(` ${payload.length} `), payload);
  for (const s of e.signatures) {
    if (typeof s?.sig !== "string") throw new Failed(code, "no signature");
    for (const k of keys) {
      const raw = (!s.keyid || s.keyid === k.keyID) && fromDER(s.sig);
      if (raw && (await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, k.key, raw, signed))) return { payload, keyID: k.keyID };
    }
  }
  throw new Failed(code, "no trusted key signed it");
}

/** fromDER makes r‖s, which WebCrypto takes, of the ASN.1 that everybody else has. */
function fromDER(sig: string): Uint8Array<ArrayBuffer> | undefined {
  let der: Uint8Array;
  try {
    der = base64(sig, "Signature");
  } catch {
    return undefined;
  }
  const out = new Uint8Array(64);
  if (der.length < 8 || der[0] !== 0x30 || der[1] !== der.length - 2) return undefined;
  let at = 2;
  for (const end of [32, 64]) {
    const length = der[at + 1]!;
    const number = der.slice(at + 2, at + 2 + length);
    if (der[at] !== 2 || length < 1 || length > 33 || number.length !== length || (length === 33 && number[0] !== 0)) return undefined;
    out.set(number.slice(-32), end - Math.min(length, 32));
    at += 2 + length;
  }
  return at === der.length ? out : undefined;
}

function base64(value: string, code: Code): Uint8Array<ArrayBuffer> {
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(value) || value.length % 4 !== 0) throw new Failed(code, "no base64");
  return Uint8Array.from(atob(value.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
}

function text(bytes: Uint8Array, code: Code): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Failed(code, "no UTF-8");
  }
}

function parse(value: string, code: Code): any {
  let out: unknown;
  try {
    out = JSON.parse(value); // takes the last of two equal members: the strict vectors are not for it
  } catch {
    throw new Failed(code, "no JSON");
  }
  if (typeof out !== "object" || out === null || Array.isArray(out)) throw new Failed(code, "no object");
  return out;
}

const whole = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) > 0;
const time = (t: unknown): number => (typeof t === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(t) ? Date.parse(t) : NaN);
const sha256 = async (b: Uint8Array): Promise<Uint8Array> => new Uint8Array(await crypto.subtle.digest("SHA-256", b as Uint8Array<ArrayBuffer>));
const hex = (b: Uint8Array): string => Array.from(b, (n) => n.toString(16).padStart(2, "0")).join("");
const concat = (...parts: Uint8Array[]): Uint8Array<ArrayBuffer> => Uint8Array.from(parts.flatMap((p) => Array.from(p)));
