// Runs the vectors: node vectors.mjs FOLDER_OF_COMPILED FOLDER_OF_VECTORS
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [, , compiled, vectors] = process.argv;
const load = (name) => import(pathToFileURL(join(compiled, name)).href);
const read = (name) => JSON.parse(readFileSync(join(vectors, name), "utf8"));
const { Failed, follow, pin, signingKeys, verify } = await load("client.js");
const { bucket, murmur3 } = await load("bucket.js");
const { ServiceDecides, decide } = await load("decide.js");
let failures = 0;
let cases = 0;

const check = (name, got, want) => {
  cases++;
  if (JSON.stringify(got) === JSON.stringify(want)) return;
  failures++;
  console.error(`${name}: got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
};
const codeOf = (problem) => {
  if (problem instanceof Failed) return problem.code;
  throw problem;
};

const envelopes = read("envelope-v1.json");
for (const c of envelopes.cases) {
  if (c.strict) continue;
  const { keys } = await pin(c.expect.keys.map((name) => envelopes.keys[name]));
  const bytes = new TextEncoder().encode(c.envelope + " ".repeat(c.pad ?? 0));
  const expect = { ...c.expect, now: Date.parse(c.expect.now) };
  const got = await verify(bytes, expect, keys).then(
    (v) => ["", v.document.sequence, v.envelopeDigest, v.keyID],
    (problem) => [codeOf(problem), 0, "", ""],
  );
  check(c.name, got, [c.error ?? "", c.sequence ?? 0, c.envelopeDigest ?? "", c.keyID ?? ""]);
}

const chains = read("keys-v1.json");
const names = {};
for (const [name, pem] of Object.entries(chains.keys)) names[(await pin([pem])).keys[0].keyID] = name;
for (const c of chains.cases) {
  let trust = await pin(c.pins.map((name) => chains.keys[name]));
  if (c.stored) trust = await follow(trust, c.stored);
  let code = "";
  try {
    trust = await follow(trust, c.answer);
  } catch (problem) {
    code = codeOf(problem);
  }
  const trusted = signingKeys(trust, Date.parse(c.now)).map((k) => names[k.keyID]).sort();
  check(c.name, [code, trust.number, trusted], [c.error ?? "", c.number, c.trusted]);
}

for (const c of read("bucket-v1.json").vectors) {
  const hash = murmur3(new TextEncoder().encode(`${c.seed}:${c.key}`)).toString(16).padStart(8, "0");
  check(`${c.seed}:${c.key}`, [hash, bucket(c.seed, c.key)], [c.hash, c.bucket]);
}
const decisions = read("decide-v1.json");
for (const c of decisions.cases) {
  const request = { ...c.request, now: c.request.now && Date.parse(c.request.now) };
  const got = await decide(decisions.documents[c.document], request).then(
    (d) => ({ action: d.action, digest: d.variant?.digest ?? "", cohort: d.cohort, reason: d.reason, bucket: d.bucket, delivery: d.delivery }),
    (problem) => {
      if (problem instanceof ServiceDecides) return "ServiceDecides";
      throw problem;
    },
  );
  const w = c.want;
  check(c.name, got, w ? { action: w.action, digest: w.digest ?? "", cohort: w.cohort, reason: w.reason, bucket: w.bucket, delivery: w.delivery } : c.error);
}
console.log(`${cases} cases`);
process.exit(failures ? 1 : 0);
