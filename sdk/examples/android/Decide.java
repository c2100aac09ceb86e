import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;

/**
 * Who gets what of a document that was verified, and what the host has to do about it: the same
 * order in every language. It passes sdk/vectors/decide-v1.json. Copy it.
 */
final class Decide {
  /** What is known of the user, the device and the host app; empty, 0 or null: not known. */
  record Request(String user, String device, Map<?, ?> attributes, String installedDigest, long installedVersionCode,
      String platform, String hostVersion, String containerVersion, boolean blocked, Instant now, Map<?, ?> parts) {}

  /** The variant is null when none is due; the bucket is -1 when it did not come to that. */
  record Decision(String action, Map<?, ?> variant, String cohort, String reason, int bucket, long delivery) {}

  /** The lists are too long for the document: ask the service to resolve. */
  static final class ServiceDecides extends Exception {}

  private record Place(String cohort, String reason, int bucket) {}

  private final Map<?, ?> doc;
  private final Request request;

  private Decide(Map<?, ?> doc, Request request) {
    this.doc = doc;
    this.request = request;
  }

  static Decision of(Map<?, ?> doc, Request request) throws ServiceDecides {
    Decide d = new Decide(doc, request);
    String gone = d.unavailable();
    if (!gone.isEmpty() || request.blocked) {
      boolean removes = !gone.isEmpty() && !request.installedDigest.isEmpty();
      return new Decision(removes ? "remove" : "none", null, "none", gone.isEmpty() ? "HostBlocked" : gone, -1, 0);
    }
    if ("Service".equals(doc.get("decide")) && request.parts == null) throw new ServiceDecides();
    return d.fit(d.place());
  }

  private String unavailable() {
    String availability = Read.text(doc, "availability");
    if (List.of("Blocked", "Suspended", "Withdrawn").contains(availability)) return availability;
    return availability.equals("Removed") && "Remove".equals(Read.map(doc, "tombstone").get("installed")) ? "Removed" : "";
  }

  /** Says which cohort the user is in, whatever the host app can run. */
  private Place place() {
    Map<?, ?> audience = Read.map(doc, "audience"), split = Read.map(doc, "split");
    if (Read.text(doc, "availability").equals("Removed")) return new Place("stable", "Retained", -1);
    if (doc.get("target") == null || split.isEmpty()) return new Place("stable", "NoTarget", -1);
    if (listed(audience, "Exclude")) return new Place("stable", "Excluded", -1);
    if (listed(audience, "Include")) return new Place("target", "Included", -1);
    for (Map<?, ?> rule : Read.maps(audience, "rules")) {
      if (!holds(rule, attribute(Read.text(rule, "attribute")))) return new Place("stable", "RuleNotMatched", -1);
    }
    if (!open()) return new Place("stable", "WindowClosed", -1);
    String key = key(Read.text(split, "by"));
    if (key.isEmpty()) return new Place("stable", "NoKey", -1);
    int bucket = Bucket.of(Read.text(split, "seed"), key);
    if (bucket < Read.number(split, "basisPoints")) return new Place("target", "Bucketed", bucket);
    return new Place("stable", "OutsideShare", bucket);
  }

  /** Chooses the variant of the cohort that the host app can run. */
  private Decision fit(Place place) {
    Map<?, ?> target = Read.map(doc, "target"), stable = Read.map(doc, "stable");
    String reason = place.reason;
    if (place.cohort.equals("target")) {
      if (fits(target)) return act(target, "target", reason, place.bucket);
      reason = "TargetIncompatible";
    }
    if (stable.isEmpty()) return act(null, "none", reason.equals("TargetIncompatible") ? "Incompatible" : reason, place.bucket);
    if (fits(stable)) return act(stable, "stable", reason, place.bucket);
    Map<?, ?> newest = null;
    for (Map<?, ?> v : Read.maps(doc, "fallbacks")) {
      if (fits(v) && (newest == null || Read.number(v, "versionCode") > Read.number(newest, "versionCode"))) newest = v;
    }
    return newest == null ? act(null, "none", "Incompatible", place.bucket) : act(newest, "stable", "Fallback", place.bucket);
  }

  /** Compares what is due with what is installed, and hears the recalls. */
  private Decision act(Map<?, ?> variant, String cohort, String reason, int bucket) {
    long recalled = 0;
    boolean named = false, takenBack = false;
    String installed = request.installedDigest;
    for (Map<?, ?> r : Read.maps(doc, "recalls")) {
      String digest = Read.text(r, "digest");
      boolean names = !digest.isEmpty() && digest.equals(installed);
      if (!names && !hadTarget(r)) continue;
      recalled = Math.max(recalled, Read.number(r, "delivery"));
      named |= names;
      // A recall that names its variant does not take away another one.
      takenBack |= names || digest.isEmpty() && !installed.isEmpty();
    }
    if (variant == null) {
      boolean removes = Read.map(doc, "stable").isEmpty() && takenBack;
      return new Decision(removes ? "remove" : "none", null, cohort, removes ? "Recalled" : reason, bucket, 0);
    }
    long delivery = Read.number(variant, "delivery");
    if (variant == doc.get("stable")) delivery = Math.max(delivery, recalled);
    String action = "update";
    if (Read.text(variant, "digest").equals(installed)) action = "none";
    else if (installed.isEmpty()) action = "install";
    else if (cohort.equals("stable") && (named || installedCode() > Read.number(variant, "versionCode"))) action = "rollback";
    return new Decision(action, variant, cohort, reason, bucket, delivery);
  }

  private long installedCode() {
    List<Map<?, ?>> all = new ArrayList<>(List.of(Read.map(doc, "stable"), Read.map(doc, "target")));
    all.addAll(Read.maps(doc, "fallbacks"));
    for (Map<?, ?> v : all) if (request.installedDigest.equals(v.get("digest"))) return Read.number(v, "versionCode");
    return request.installedVersionCode;
  }

  private boolean hadTarget(Map<?, ?> r) {
    if (listed(Read.map(r, "audience"), "Exclude")) return false;
    if (listed(Read.map(r, "audience"), "Include")) return true;
    String key = key(Read.text(r, "by"));
    return !key.isEmpty() && Bucket.of(Read.text(r, "seed"), key) < Read.number(r, "basisPoints");
  }

  /** Tells whether the user is in a list, or in a part that continues it. */
  private boolean listed(Map<?, ?> audience, String list) {
    if (audience.isEmpty() || request.user.isEmpty()) return false;
    String hash;
    try {
      byte[] sum = MessageDigest.getInstance("SHA-256").digest((Read.text(audience, "seed") + ":" + request.user).getBytes(StandardCharsets.UTF_8));
      hash = Base64.getUrlEncoder().withoutPadding().encodeToString(Arrays.copyOf(sum, 16));
    } catch (GeneralSecurityException problem) {
      throw new IllegalStateException(problem); // every JDK has SHA-256
    }
    if (Read.strings(Read.map(audience, list.equals("Include") ? "include" : "exclude"), "hashes").contains(hash)) return true;
    for (Map<?, ?> part : Read.maps(audience, "parts")) {
      if (request.parts != null && list.equals(part.get("list")) && Read.strings(request.parts, Read.text(part, "digest")).contains(hash)) return true;
    }
    return false;
  }

  private static boolean holds(Map<?, ?> rule, String value) {
    List<?> values = Read.strings(rule, "values");
    if (value.isEmpty() || values.isEmpty()) return false;
    String first = (String) values.get(0), last = (String) values.get(values.size() - 1);
    return switch (Read.text(rule, "operator")) {
      case "In" -> values.contains(value);
      case "NotIn" -> !values.contains(value);
      case "StartsWith" -> values.stream().anyMatch(v -> value.startsWith((String) v));
      case "AtLeast" -> Version.atLeast(value, first);
      case "AtMost" -> Version.atLeast(first, value);
      case "Between" -> Version.atLeast(value, first) && Version.atLeast(last, value);
      default -> false;
    };
  }

  private boolean open() {
    if (!(doc.get("window") instanceof Map<?, ?> window)) return true;
    String start = Read.text(window, "start"), end = Read.text(window, "end");
    return request.now != null && (start.isEmpty() || !request.now.isBefore(Instant.parse(start)))
        && (end.isEmpty() || request.now.isBefore(Instant.parse(end)));
  }

  private boolean fits(Map<?, ?> variant) {
    Map<?, ?> c = Read.map(variant, "compatibility");
    String container = Read.text(c, "minContainerVersion");
    if (!container.isEmpty() && !Version.atLeast(field(request.containerVersion, "containerVersion"), container)) return false;
    String host = field(request.hostVersion, "hostAppVersion"), platform = field(request.platform, "platform");
    return Read.maps(c, "platforms").isEmpty() || Read.maps(c, "platforms").stream().anyMatch(p -> platform.equals(p.get("os"))
        && (Read.text(p, "minHostVersion").isEmpty() || Version.atLeast(host, Read.text(p, "minHostVersion")))
        && (Read.text(p, "maxHostVersion").isEmpty() || Version.atLeast(Read.text(p, "maxHostVersion"), host)));
  }

  private String field(String value, String attribute) {
    return value.isEmpty() ? Read.text(request.attributes, attribute) : value;
  }

  private String key(String by) {
    return by.equals("user") ? request.user : by.equals("device") ? request.device : attribute(by);
  }

  private String attribute(String name) {
    String value = Read.text(request.attributes, name);
    if (!value.isEmpty()) return value;
    return switch (name) {
      case "platform" -> request.platform;
      case "hostAppVersion" -> request.hostVersion;
      case "containerVersion" -> request.containerVersion;
      default -> "";
    };
  }
}
