import java.nio.charset.StandardCharsets;

/** bucket/v1: a user's place from 0 to 9999. A user gets the target when it is below basisPoints. */
final class Bucket {
  private Bucket() {}

  /** Places a key; a split's seed comes from the document. */
  static int of(String seed, String key) {
    return (int) ((murmur3((seed + ":" + key).getBytes(StandardCharsets.UTF_8)) & 0xffffffffL) * 10000 >>> 32);
  }

  /** murmur3_x86_32 with seed 0. */
  static int murmur3(byte[] data) {
    int h = 0, whole = data.length & ~3;
    for (int i = 0; i < whole; i += 4) {
      int k = data[i] & 0xff | (data[i + 1] & 0xff) << 8 | (data[i + 2] & 0xff) << 16 | data[i + 3] << 24;
      h = Integer.rotateLeft(h ^ mix(k), 13) * 5 + 0xe6546b64;
    }
    int rest = 0;
    for (int i = data.length - 1; i >= whole; i--) rest = rest << 8 | data[i] & 0xff;
    h ^= mix(rest) ^ data.length;
    h = (h ^ h >>> 16) * 0x85ebca6b;
    h = (h ^ h >>> 13) * 0xc2b2ae35;
    return h ^ h >>> 16;
  }

  private static int mix(int k) {
    return Integer.rotateLeft(k * 0xcc9e2d51, 15) * 0x1b873593;
  }
}
