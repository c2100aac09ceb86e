// bucket/v1: a user's place from 0 to 9999. A user gets the target when it is below basisPoints.

const utf8 = new TextEncoder();

/** bucket places a key; a split's seed comes from the document. */
export function bucket(seed: string, key: string): number {
  return Number((BigInt(murmur3(utf8.encode(`${seed}:${key}`))) * 10000n) >> 32n);
}

/** murmur3 is murmur3_x86_32 with seed 0. */
export function murmur3(data: Uint8Array): number {
  const mix = (k: number): number => {
    k = Math.imul(k, 0xcc9e2d51);
    return Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  };
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const whole = data.length & ~3;
  let h = 0;
  for (let i = 0; i < whole; i += 4) {
    h ^= mix(view.getUint32(i, true));
    h = (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
  }
  let rest = 0;
  for (let i = data.length - 1; i >= whole; i--) rest = (rest << 8) | data[i]!;
  if (data.length > whole) h ^= mix(rest);
  h ^= data.length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
