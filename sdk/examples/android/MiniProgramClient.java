import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.Signature;
import java.security.interfaces.ECPublicKey;
import java.security.spec.X509EncodedKeySpec;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * What an Android host does before it believes a document of the manifest service: the checks, in
 * their order. It is run against sdk/vectors. Copy it; it needs Java 17's language, API level 26 and nothing else.
 *
 * <p>Store (sequence, issuedAt) of what was believed, and the Trust, where only the app can write.
 * Json is a small parser because the JDK has none; an app may use org.json, which takes the last of
 * two equal members: the strict vectors are not for it.
 */
final class MiniProgramClient {
  /** Names the check that failed. After Expired: run what is installed, adopt nothing new. After any: remove nothing. */
  static final class Failed extends Exception {
    final String code;

    Failed(String code, String detail) {
      super(code + ": " + detail);
      this.code = code;
    }
  }

  record Seen(long sequence, Instant issuedAt) {}

  record Expect(String appID, String channel, String hostApp, Seen seen, Instant now) {}

  record Verified(Map<?, ?> document, String envelopeDigest, String keyID) {}

  record Key(String keyID, PublicKey key, String state, Instant retireAfter) {}

  /** Whom the app believes: number is that of the newest key document that was followed, 0 for none. */
  record Trust(long number, List<Key> keys) {
    /** The keys whose signatures on documents count. */
    List<Key> signing(Instant now) {
      return keys.stream().filter(k -> !k.state.equals("Retiring") || now.isBefore(k.retireAfter)).collect(Collectors.toList());
    }

    /** The keys that may sign the next key document. One that retires may not: it might have been stolen. */
    private List<Key> vouching() {
      return keys.stream().filter(k -> !k.state.equals("Retiring")).collect(Collectors.toList());
    }
  }

  private record Opened(String type, byte[] payload, String keyID) {}

  private static final String RELEASE = "application/vnd.miniprogram.release.v1+json";
  private static final String KEYS = "application/vnd.miniprogram.keys.v1+json";
  private static final int MAX_DOCUMENT = 256 << 10;
  private static final int MAX_ENVELOPE = (MAX_DOCUMENT + 2) / 3 * 4 + (16 << 10);

  private MiniProgramClient() {}

  /** Makes the checks in their order, and returns what passed all of them. */
  static Verified verify(byte[] envelope, Expect expect, List<Key> keys) throws Failed {
    if (envelope.length > MAX_ENVELOPE) throw new Failed("TooLarge", envelope.length + " bytes");
    Opened e = open(Read.object(envelope, "Signature"), keys, "Signature");
    if (!e.type.equals(RELEASE)) throw new Failed("Type", e.type);
    if (e.payload.length > MAX_DOCUMENT) throw new Failed("Malformed", e.payload.length + " bytes");
    Map<?, ?> doc = Read.object(e.payload, "Malformed");
    String want = expect.channel.equals("trial") ? "miniprogram.trial/v1" : "miniprogram.release/v1";
    if (!want.equals(doc.get("type"))) throw new Failed("Type", doc.get("type") + ", want " + want);
    long sequence = Read.whole(doc.get("sequence"));
    Instant issued = Read.time(doc.get("issuedAt")), expires = Read.time(doc.get("expiresAt"));
    if (!expires.isAfter(issued)) throw new Failed("Malformed", "it expires before it is issued");
    if (!(doc.get("hostApps") instanceof List<?> hostApps)) throw new Failed("Malformed", "hostApps");
    if (!expect.appID.equals(doc.get("appID"))) throw new Failed("AppID", "" + doc.get("appID"));
    if (!expect.channel.equals(doc.get("channel"))) throw new Failed("Channel", "" + doc.get("channel"));
    if (!hostApps.contains(expect.hostApp)) throw new Failed("HostApp", "" + hostApps);
    Seen seen = expect.seen;
    if (seen != null && (sequence < seen.sequence || sequence == seen.sequence && issued.isBefore(seen.issuedAt))) {
      throw new Failed("RolledBack", sequence + " of " + issued + ", seen was " + seen);
    }
    if (!expect.now.isBefore(expires)) throw new Failed("Expired", "" + expires);
    return new Verified(doc, "sha256:" + Read.sha256(envelope), e.keyID);
  }

  /** Trusts the keys that the app was built with. */
  static Trust pin(List<String> pems) throws Failed {
    List<Key> keys = new ArrayList<>();
    for (String pem : pems) keys.add(readKey(pem, "Active", null));
    return new Trust(0, keys);
  }

  /** Goes along the answer of GET /v1/keys. When it fails, go on with what was trusted before. */
  static Trust follow(Trust trust, byte[] answer) throws Failed {
    if (answer.length > 512 << 10) throw new Failed("TooLarge", "the chain");
    if (!(Read.object(answer, "Malformed").get("documents") instanceof List<?> documents)) throw new Failed("Malformed", "documents");
    if (documents.size() > 64) throw new Failed("TooLarge", documents.size() + " documents");
    Trust now = trust;
    boolean begun = false;
    long last = 0;
    for (Object envelope : documents) {
      Opened e;
      try {
        e = open(envelope, now.vouching(), "Broken");
      } catch (Failed problem) {
        if (begun) throw problem;
        continue; // older than the pinned keys
      }
      if (!e.type.equals(KEYS)) throw new Failed("Malformed", e.type);
      Map<?, ?> doc = Read.object(e.payload, "Malformed");
      long number = Read.whole(doc.get("number"));
      if (!"miniprogram.keys/v1".equals(doc.get("type")) || number <= last) throw new Failed("Malformed", "type or number");
      List<Key> keys = listed(doc.get("keys"));
      if (number > trust.number) now = new Trust(number, keys);
      begun = number >= trust.number;
      last = number;
    }
    if (last == 0 && (trust.number > 0 || !documents.isEmpty())) throw new Failed("Broken", "no document is by a trusted key");
    if (last < trust.number) throw new Failed("RolledBack", last + ", " + trust.number + " was followed");
    return now;
  }

  private static List<Key> listed(Object value) throws Failed {
    List<Key> keys = new ArrayList<>();
    if (!(value instanceof List<?> entries)) throw new Failed("Malformed", "keys");
    for (Object entry : entries) {
      if (!(entry instanceof Map<?, ?> k) || !(k.get("publicKey") instanceof String pem) || !(k.get("state") instanceof String state)
          || !List.of("Next", "Active", "Retiring").contains(state) || !"ECDSA-P256-SHA256".equals(k.get("algorithm"))) {
        throw new Failed("Malformed", "a key");
      }
      Key key = readKey(pem, state, state.equals("Retiring") ? Read.time(k.get("retireAfter")) : null);
      if (!key.keyID.equals(k.get("keyID"))) throw new Failed("Malformed", "a key's ID is not that of the key");
      keys.add(key);
    }
    if (keys.stream().noneMatch(k -> k.state.equals("Active"))) throw new Failed("Malformed", "no key is Active");
    return keys;
  }

  private static Key readKey(String pem, String state, Instant retireAfter) throws Failed {
    byte[] der = Read.base64(pem.replaceAll("-----(BEGIN|END) PUBLIC KEY-----|\\s", ""), "Malformed");
    try {
      PublicKey key = KeyFactory.getInstance("EC").generatePublic(new X509EncodedKeySpec(der));
      if (((ECPublicKey) key).getParams().getCurve().getField().getFieldSize() != 256) throw new Failed("Malformed", "the curve");
      return new Key(Read.sha256(der), key, state, retireAfter);
    } catch (GeneralSecurityException problem) {
      throw new Failed("Malformed", "a public key");
    }
  }

  /** Returns the payload of a DSSE envelope that one of the keys signed. Never read it before. */
  private static Opened open(Object value, List<Key> keys, String code) throws Failed {
    if (!(value instanceof Map<?, ?> e) || !(e.get("payloadType") instanceof String type) || !(e.get("payload") instanceof String text)
        || !(e.get("signatures") instanceof List<?> signatures) || signatures.size() > 16) {
      throw new Failed(code, "no envelope");
    }
    byte[] payload = Read.base64(text, code), kind = type.getBytes(StandardCharsets.UTF_8);
    byte[] head = ("DSSEv1 " + kind.length + " " + type + " " + payload.length + " ").getBytes(StandardCharsets.UTF_8);
    for (Object signature : signatures) {
      if (!(signature instanceof Map<?, ?> s) || !(s.get("sig") instanceof String sig)) throw new Failed(code, "no signature");
      for (Key k : keys) {
        Object id = s.get("keyid");
        if (id != null && !id.equals("") && !id.equals(k.keyID)) continue;
        try {
          Signature check = Signature.getInstance("SHA256withECDSA"); // takes the ASN.1 as it is
          check.initVerify(k.key);
          check.update(head);
          check.update(payload);
          if (check.verify(Read.base64(sig, code))) return new Opened(type, payload, k.keyID);
        } catch (GeneralSecurityException | Failed problem) {
          continue; // no signature by this key
        }
      }
    }
    throw new Failed(code, "no trusted key signed it");
  }
}
