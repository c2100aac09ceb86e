import java.math.BigInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Versions: numbers between dots compared as numbers, missing ones are zero; after a hyphen a
 * pre-release, which comes before, as in Semantic Versioning 2.0.0 section 11; after a plus sign
 * nothing counts.
 */
final class Version {
  private static final Pattern FORM =
      Pattern.compile("([0-9]+(?:\\.[0-9]+)*)(?:-([0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*))?(?:\\+[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)?");

  private Version() {}

  /** Compares versions; what is no version is not at least anything. */
  static boolean atLeast(String a, String b) {
    Matcher left = FORM.matcher(a), right = FORM.matcher(b);
    if (a.length() > 128 || b.length() > 128 || !left.matches() || !right.matches()) return false;
    int core = compare(left.group(1).split("\\."), right.group(1).split("\\."), "0");
    if (core != 0) return core > 0;
    if (left.group(2) == null || right.group(2) == null) return left.group(2) == null; // the one without comes later
    return compare(left.group(2).split("\\."), right.group(2).split("\\."), null) >= 0;
  }

  private static int compare(String[] a, String[] b, String missing) {
    for (int i = 0; i < Math.max(a.length, b.length); i++) {
      String left = i < a.length ? a[i] : missing, right = i < b.length ? b[i] : missing;
      if (left == null || right == null) return left == null ? -1 : 1;
      boolean l = left.matches("[0-9]+"), r = right.matches("[0-9]+");
      if (l != r) return l ? -1 : 1;
      int order = l ? new BigInteger(left).compareTo(new BigInteger(right)) : left.compareTo(right);
      if (order != 0) return order;
    }
    return 0;
  }
}
