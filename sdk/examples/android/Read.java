import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;

/** Reads what others wrote: one way to write each thing, and an error with the check's name for all else. */
final class Read {
  private Read() {}

  static byte[] base64(String text, String code) throws MiniProgramClient.Failed {
    if (!text.matches("[A-Za-z0-9+/_-]*={0,2}") || text.length() % 4 != 0) throw new MiniProgramClient.Failed(code, "no base64");
    return Base64.getDecoder().decode(text.replace('-', '+').replace('_', '/'));
  }

  static Map<?, ?> object(byte[] text, String code) throws MiniProgramClient.Failed {
    try { // a decoder of its own reports what is no UTF-8, where new String would replace it
      if (Json.parse("" + StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(text))) instanceof Map<?, ?> map) return map;
    } catch (CharacterCodingException | IllegalArgumentException problem) {
      throw new MiniProgramClient.Failed(code, "no JSON");
    }
    throw new MiniProgramClient.Failed(code, "no object");
  }

  static long whole(Object n) throws MiniProgramClient.Failed {
    if (n instanceof Long l && l > 0 && l < 1L << 53) return l;
    throw new MiniProgramClient.Failed("Malformed", "a number");
  }

  static Instant time(Object t) throws MiniProgramClient.Failed {
    try {
      if (t instanceof String s && s.matches("\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ")) return Instant.parse(s);
    } catch (DateTimeParseException problem) {
      throw new MiniProgramClient.Failed("Malformed", "a time");
    }
    throw new MiniProgramClient.Failed("Malformed", "a time");
  }

  static String sha256(byte[] data) throws MiniProgramClient.Failed {
    try {
      StringBuilder hex = new StringBuilder();
      for (byte b : MessageDigest.getInstance("SHA-256").digest(data)) hex.append(String.format("%02x", b));
      return hex.toString();
    } catch (GeneralSecurityException problem) {
      throw new MiniProgramClient.Failed("Signature", "SHA-256 is missing");
    }
  }

  // A member of an object, or what is empty where it is lacking.

  static String text(Map<?, ?> of, String name) { return of.get(name) instanceof String s ? s : ""; }

  static long number(Map<?, ?> of, String name) { return of.get(name) instanceof Long n ? n : 0; }

  static Map<?, ?> map(Map<?, ?> of, String name) { return of.get(name) instanceof Map<?, ?> m ? m : Map.of(); }

  static List<?> strings(Map<?, ?> of, String name) { return of.get(name) instanceof List<?> l ? l : List.of(); }

  static List<Map<?, ?>> maps(Map<?, ?> of, String name) {
    List<Map<?, ?>> out = new ArrayList<>();
    for (Object each : strings(of, name)) if (each instanceof Map<?, ?> m) out.add(m);
    return out;
  }
}
