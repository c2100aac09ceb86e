import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads JSON into Map, List, String, Long, Double, Boolean and null. It refuses a member that stands
 * there twice, one that differs from another only in case, and anything behind the value: readers in
 * two languages must not take one signed text for two things.
 */
final class Json {
  private static final int MAX_DEPTH = 64;
  private final String text;
  private int at;

  private Json(String text) {
    this.text = text;
  }

  /** Throws IllegalArgumentException for what is no JSON. */
  static Object parse(String text) {
    Json json = new Json(text);
    Object value = json.value(0);
    json.spaces();
    if (json.at != text.length()) throw json.wrong();
    return value;
  }

  private Object value(int depth) {
    spaces();
    if (depth > MAX_DEPTH || at == text.length()) throw wrong();
    switch (text.charAt(at)) {
      case '{':
        return object(depth);
      case '[':
        return list(depth);
      case '"':
        return string();
      default:
        return literal();
    }
  }

  private Map<String, Object> object(int depth) {
    Map<String, Object> out = new LinkedHashMap<>();
    List<String> folded = new ArrayList<>();
    at++;
    if (next('}')) return out;
    do {
      spaces();
      String name = string();
      if (folded.contains(name.toLowerCase())) throw wrong();
      folded.add(name.toLowerCase());
      if (!next(':')) throw wrong();
      out.put(name, value(depth + 1));
    } while (next(','));
    if (!next('}')) throw wrong();
    return out;
  }

  private List<Object> list(int depth) {
    List<Object> out = new ArrayList<>();
    at++;
    if (next(']')) return out;
    do {
      out.add(value(depth + 1));
    } while (next(','));
    if (!next(']')) throw wrong();
    return out;
  }

  private String string() {
    if (at == text.length() || text.charAt(at++) != '"') throw wrong();
    StringBuilder out = new StringBuilder();
    while (at < text.length()) {
      char c = text.charAt(at++);
      if (c == '"') return out.toString();
      if (c < ' ') throw wrong();
      out.append(c == '\\' ? escaped() : c);
    }
    throw wrong();
  }

  private char escaped() {
    if (at == text.length()) throw wrong();
    char c = text.charAt(at++);
    int known = "\"\\/bfnrt".indexOf(c);
    if (known >= 0) return "\"\\/\b\f\n\r\t".charAt(known);
    if (c != 'u' || at + 4 > text.length()) throw wrong();
    at += 4;
    return (char) Integer.parseInt(text.substring(at - 4, at), 16);
  }

  private Object literal() {
    int from = at;
    while (at < text.length() && "+-.0123456789Eabcdefghijklmnopqrstuvwxyz".indexOf(text.charAt(at)) >= 0) at++;
    String word = text.substring(from, at);
    switch (word) {
      case "true":
        return true;
      case "false":
        return false;
      case "null":
        return null;
      default:
        if (word.matches("-?(0|[1-9]\\d{0,17})")) return Long.valueOf(word);
        if (word.matches("-?(0|[1-9]\\d*)(\\.\\d+)?([eE][+-]?\\d+)?")) return Double.valueOf(word);
        throw wrong();
    }
  }

  private boolean next(char c) {
    spaces();
    if (at == text.length() || text.charAt(at) != c) return false;
    at++;
    return true;
  }

  private void spaces() {
    while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) at++;
  }

  private IllegalArgumentException wrong() {
    return new IllegalArgumentException("no JSON at " + at);
  }
}
