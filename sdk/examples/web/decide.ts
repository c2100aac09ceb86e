// Who gets what of a document that was verified, and what the host has to do about it: the
// same order in every language. It passes sdk/vectors/decide-v1.json. Copy it.

import { bucket } from "./bucket.js";
import { atLeast } from "./version.js";

/** What is known of the user, the device and the host app. What is not known is left out. */
export type Request = {
  user?: string;
  device?: string;
  attributes?: Record<string, string>;
  installedDigest?: string;
  installedVersionCode?: number;
  platform?: string;
  hostVersion?: string;
  containerVersion?: string;
  /** The host app's own block. */
  blocked?: boolean;
  /** Milliseconds; left out, every window is closed. */
  now?: number;
  /** By a part's digest, the hashes in it: only the manifest service has them. */
  parts?: Record<string, string[]>;
};

export type Decision = { action: string; variant?: any; cohort: "none" | "stable" | "target"; reason: string; bucket: number; delivery: number };

/** The lists are too long for the document: ask the service to resolve. */
export class ServiceDecides extends Error {}

export async function decide(doc: any, request: Request): Promise<Decision> {
  const gone = unavailable(doc) || (request.blocked ? "HostBlocked" : "");
  if (gone) {
    const action = gone !== "HostBlocked" && request.installedDigest ? "remove" : "none";
    return { action, cohort: "none", reason: gone, bucket: -1, delivery: 0 };
  }
  if (doc.decide === "Service" && !request.parts) throw new ServiceDecides();
  const decision = await place(doc, request);
  fit(decision, doc, request);
  return act(decision, doc, request, await recalled(doc.recalls ?? [], request));
}

function unavailable(doc: any): string {
  if (["Blocked", "Suspended", "Withdrawn"].includes(doc.availability)) return doc.availability;
  return doc.availability === "Removed" && doc.tombstone?.installed === "Remove" ? "Removed" : "";
}

/** place says which cohort the user is in, whatever the host app can run. */
async function place(doc: any, request: Request): Promise<Decision> {
  const is = (cohort: "stable" | "target", reason: string, at = -1): Decision => ({ action: "", cohort, reason, bucket: at, delivery: 0 });
  if (doc.availability === "Removed") return is("stable", "Retained");
  if (!doc.target || !doc.split) return is("stable", "NoTarget");
  if (await listed(doc.audience, "Exclude", request)) return is("stable", "Excluded");
  if (await listed(doc.audience, "Include", request)) return is("target", "Included");
  for (const rule of doc.audience?.rules ?? []) {
    if (!holds(rule, attribute(request, rule.attribute))) return is("stable", "RuleNotMatched");
  }
  if (!open(doc.window, request.now)) return is("stable", "WindowClosed");
  const key = keyOf(request, doc.split.by);
  if (!key) return is("stable", "NoKey");
  const at = bucket(doc.split.seed, key);
  return at < doc.split.basisPoints ? is("target", "Bucketed", at) : is("stable", "OutsideShare", at);
}

/** fit chooses the variant of the cohort that the host app can run. */
function fit(d: Decision, doc: any, request: Request): void {
  const due = (variant: any): void => {
    d.variant = variant;
    d.delivery = variant.delivery;
  };
  if (d.cohort === "target") {
    if (fits(doc.target, request)) return due(doc.target);
    d.cohort = "stable";
    d.reason = "TargetIncompatible";
  }
  if (!doc.stable) {
    d.cohort = "none";
    if (d.reason === "TargetIncompatible") d.reason = "Incompatible";
    return;
  }
  if (fits(doc.stable, request)) return due(doc.stable);
  let newest: any;
  for (const v of doc.fallbacks ?? []) if (fits(v, request) && !(newest?.versionCode >= v.versionCode)) newest = v;
  d.reason = newest ? "Fallback" : "Incompatible";
  if (newest) return due(newest);
  d.cohort = "none";
}

/** act compares what is due with what is installed, and hears the recalls. */
function act(d: Decision, doc: any, request: Request, recall: Recall): Decision {
  const installed = request.installedDigest ?? "";
  if (d.variant && d.variant === doc.stable) d.delivery = Math.max(d.delivery, recall.delivery);
  if (!d.variant && !doc.stable && recall.installed) {
    d.action = "remove";
    d.reason = "Recalled";
  } else if (!d.variant || d.variant.digest === installed) {
    d.action = "none";
  } else if (!installed) {
    d.action = "install";
  } else {
    const known = [doc.stable, doc.target, ...(doc.fallbacks ?? [])].find((v) => v?.digest === installed);
    const newer = (known ? known.versionCode : request.installedVersionCode ?? 0) > d.variant.versionCode;
    d.action = d.cohort === "stable" && (recall.named || newer) ? "rollback" : "update";
  }
  return d;
}

type Recall = { delivery: number; named: boolean; installed: boolean };

async function recalled(recalls: any[], request: Request): Promise<Recall> {
  const state: Recall = { delivery: 0, named: false, installed: false };
  for (const r of recalls) {
    const named = Boolean(r.digest) && r.digest === request.installedDigest;
    if (!named && !(await hadTarget(r, request))) continue;
    state.delivery = Math.max(state.delivery, r.delivery);
    state.named ||= named;
    // A recall that names its variant does not take away another one.
    state.installed ||= named || (!r.digest && Boolean(request.installedDigest));
  }
  return state;
}

async function hadTarget(r: any, request: Request): Promise<boolean> {
  if (await listed(r.audience, "Exclude", request)) return false;
  if (await listed(r.audience, "Include", request)) return true;
  const key = keyOf(request, r.by);
  return Boolean(key) && bucket(r.seed, key) < r.basisPoints;
}

/** listed tells whether the user is in a list, or in a part that continues it. */
async function listed(audience: any, list: "Include" | "Exclude", request: Request): Promise<boolean> {
  if (!audience || !request.user) return false;
  const text = new TextEncoder().encode(`${audience.seed}:${request.user}`);
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", text)).slice(0, 16);
  const hash = btoa(String.fromCharCode(...sum)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const inline: string[] = (list === "Include" ? audience.include : audience.exclude)?.hashes ?? [];
  const parts: any[] = audience.parts ?? [];
  return inline.includes(hash) || parts.some((p) => p.list === list && request.parts?.[p.digest]?.includes(hash));
}

function holds(rule: any, value: string): boolean {
  const values: string[] = rule.values ?? [];
  const first = values[0];
  if (!value || first === undefined) return false;
  switch (rule.operator) {
    case "In": return values.includes(value);
    case "NotIn": return !values.includes(value);
    case "StartsWith": return values.some((v) => value.startsWith(v));
    case "AtLeast": return atLeast(value, first);
    case "AtMost": return atLeast(first, value);
    case "Between": return atLeast(value, first) && atLeast(values[values.length - 1]!, value);
    default: return false;
  }
}

function open(window: any, now?: number): boolean {
  if (!window) return true;
  return now !== undefined && !(now < Date.parse(window.start)) && !(now >= Date.parse(window.end));
}

function fits(v: any, request: Request): boolean {
  const c = v.compatibility ?? {};
  const field = (value: string | undefined, name: string): string => value || request.attributes?.[name] || "";
  if (c.minContainerVersion && !atLeast(field(request.containerVersion, "containerVersion"), c.minContainerVersion)) return false;
  const host = field(request.hostVersion, "hostAppVersion");
  const fitting = (p: any): boolean =>
    p.os === field(request.platform, "platform") &&
    (!p.minHostVersion || atLeast(host, p.minHostVersion)) &&
    (!p.maxHostVersion || atLeast(p.maxHostVersion, host));
  return !c.platforms?.length || c.platforms.some(fitting);
}

function keyOf(request: Request, by: string): string {
  if (by === "user") return request.user ?? "";
  return by === "device" ? request.device ?? "" : attribute(request, by);
}

function attribute(request: Request, name: string): string {
  const fields: Record<string, string | undefined> = { platform: request.platform, hostAppVersion: request.hostVersion, containerVersion: request.containerVersion };
  return request.attributes?.[name] || (Object.hasOwn(fields, name) ? fields[name] : "") || "";
}
