// Versions: numbers between dots compared as numbers, missing ones are zero; after a hyphen a
// pre-release, which comes before, as in Semantic Versioning 2.0.0 section 11; after a plus
// sign nothing counts.

const form = /^([0-9]+(?:\.[0-9]+)*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/;

/** atLeast compares versions; what is no version is not at least anything. */
export function atLeast(a: string, b: string): boolean {
  const left = a.length <= 128 && form.exec(a);
  const right = b.length <= 128 && form.exec(b);
  if (!left || !right) return false;
  const core = compare(left[1]!.split("."), right[1]!.split("."), "0");
  if (core !== 0) return core > 0;
  if (!left[2] || !right[2]) return !left[2]; // the one without comes later
  return compare(left[2].split("."), right[2].split(".")) >= 0;
}

function compare(a: string[], b: string[], missing?: string): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const left = a[i] ?? missing;
    const right = b[i] ?? missing;
    if (left === undefined || right === undefined) return left === undefined ? -1 : 1;
    const numbers = [left, right].map((text) => /^[0-9]+$/.test(text));
    if (numbers[0] !== numbers[1]) return numbers[0] ? -1 : 1;
    const [l, r] = numbers[0] ? [BigInt(left), BigInt(right)] : [left, right];
    if (l !== r) return l < r ? -1 : 1;
  }
  return 0;
}
