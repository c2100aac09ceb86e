import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Runs the vectors: java -cp COMPILED Vectors FOLDER_OF_VECTORS. */
final class Vectors {
  private static int cases;
  private static int failures;

  private Vectors() {}

  public static void main(String[] args) throws Exception {
    Path folder = Path.of(args[0]);
    envelopes(read(folder, "envelope-v1.json"));
    chains(read(folder, "keys-v1.json"));
    for (Object each : list(read(folder, "bucket-v1.json").get("vectors"))) {
      Map<?, ?> c = (Map<?, ?>) each;
      String seed = (String) c.get("seed"), key = (String) c.get("key");
      String hash = String.format("%08x", Bucket.murmur3((seed + ":" + key).getBytes(StandardCharsets.UTF_8)));
      check(seed + ":" + key, List.of(hash, (long) Bucket.of(seed, key)), List.of(c.get("hash"), c.get("bucket")));
    }
    decisions(read(folder, "decide-v1.json"));
    System.out.println(cases + " cases");
    System.exit(failures == 0 ? 0 : 1);
  }

  private static void envelopes(Map<?, ?> file) throws Exception {
    for (Object each : list(file.get("cases"))) {
      Map<?, ?> c = (Map<?, ?>) each, e = (Map<?, ?>) c.get("expect"), s = (Map<?, ?>) e.get("seen");
      String envelope = c.get("envelope") + " ".repeat((int) (long) or(c.get("pad"), 0L));
      var seen = s == null ? null : new MiniProgramClient.Seen((Long) s.get("sequence"), Instant.parse((String) s.get("issuedAt")));
      var expect = new MiniProgramClient.Expect((String) e.get("appID"), (String) e.get("channel"), (String) e.get("hostApp"), seen,
          Instant.parse((String) e.get("now")));
      List<Object> got;
      try {
        var v = MiniProgramClient.verify(envelope.getBytes(StandardCharsets.UTF_8), expect, pinned(file, e.get("keys")).keys());
        got = List.of("", v.document().get("sequence"), v.envelopeDigest(), v.keyID());
      } catch (MiniProgramClient.Failed problem) {
        got = List.of(problem.code, 0L, "", "");
      }
      check((String) c.get("name"), got, List.of(or(c.get("error"), ""), or(c.get("sequence"), 0L), or(c.get("envelopeDigest"), ""), or(c.get("keyID"), "")));
    }
  }

  private static void chains(Map<?, ?> file) throws Exception {
    Map<String, String> names = new HashMap<>();
    for (Object name : ((Map<?, ?>) file.get("keys")).keySet()) names.put(pinned(file, List.of(name)).keys().get(0).keyID(), (String) name);
    for (Object each : list(file.get("cases"))) {
      Map<?, ?> c = (Map<?, ?>) each;
      var trust = pinned(file, c.get("pins"));
      if (c.get("stored") instanceof String stored) trust = MiniProgramClient.follow(trust, stored.getBytes(StandardCharsets.UTF_8));
      String code = "";
      try {
        trust = MiniProgramClient.follow(trust, ((String) c.get("answer")).getBytes(StandardCharsets.UTF_8));
      } catch (MiniProgramClient.Failed problem) {
        code = problem.code;
      }
      List<String> trusted = new ArrayList<>();
      for (var k : trust.signing(Instant.parse((String) c.get("now")))) trusted.add(names.get(k.keyID()));
      trusted.sort(null);
      check((String) c.get("name"), List.of(code, trust.number(), trusted), List.of(or(c.get("error"), ""), c.get("number"), c.get("trusted")));
    }
  }

  private static void decisions(Map<?, ?> file) {
    for (Object each : list(file.get("cases"))) {
      Map<?, ?> c = (Map<?, ?>) each, r = (Map<?, ?>) c.get("request"), w = (Map<?, ?>) c.get("want");
      var request = new Decide.Request(Read.text(r, "user"), Read.text(r, "device"), Read.map(r, "attributes"), Read.text(r, "installedDigest"),
          Read.number(r, "installedVersionCode"), Read.text(r, "platform"), Read.text(r, "hostVersion"), Read.text(r, "containerVersion"),
          Boolean.TRUE.equals(r.get("blocked")), r.get("now") instanceof String now ? Instant.parse(now) : null, (Map<?, ?>) r.get("parts"));
      Object got, want = c.get("error");
      try {
        var d = Decide.of(Read.map(Read.map(file, "documents"), Read.text(c, "document")), request);
        String digest = d.variant() == null ? "" : Read.text(d.variant(), "digest");
        got = List.of(d.action(), digest, d.cohort(), d.reason(), (long) d.bucket(), d.delivery());
      } catch (Decide.ServiceDecides problem) {
        got = "ServiceDecides";
      }
      if (w != null) want = List.of(w.get("action"), Read.text(w, "digest"), w.get("cohort"), w.get("reason"), w.get("bucket"), Read.number(w, "delivery"));
      check((String) c.get("name"), got, want);
    }
  }

  private static MiniProgramClient.Trust pinned(Map<?, ?> file, Object names) throws Exception {
    List<String> pems = new ArrayList<>();
    for (Object name : list(names)) pems.add((String) ((Map<?, ?>) file.get("keys")).get(name));
    return MiniProgramClient.pin(pems);
  }

  private static void check(String name, Object got, Object want) {
    cases++;
    if (Objects.equals(got, want)) return;
    failures++;
    System.err.println(name + ": got " + got + ", want " + want);
  }

  private static Map<?, ?> read(Path folder, String name) throws Exception {
    return (Map<?, ?>) Json.parse(Files.readString(folder.resolve(name)));
  }

  private static List<?> list(Object value) {
    return (List<?>) value;
  }

  private static Object or(Object value, Object otherwise) {
    return value == null ? otherwise : value;
  }
}
