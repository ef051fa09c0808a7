package dev.countersign.identity;

import java.util.function.Predicate;
import java.util.regex.Pattern;

/** The grammars of the draft. A pattern always describes the whole value. */
final class Grammar {
    static final String ID_TEXT = "[A-Za-z0-9._~:@|-]{1,128}";
    static final String BASE64_OF_32 = "[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=";
    private static final String COMMON = "A-Za-z0-9\\-._~!$&()*+,;=:@\\[\\]%";
    private static final String NAME = "\"[a-z0-9@-]{1,64}\"";
    private static final String TIME = "(0|[1-9][0-9]{0,11})";

    static final Predicate<String> ID = whole(ID_TEXT, 128);
    static final Predicate<String> ROLE = whole("[a-z0-9_-]{1,64}", 64);
    static final Predicate<String> UUID_V7 =
        whole("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", 36);
    static final Predicate<String> TOKEN = whole("[A-Za-z0-9_-]++\\.[A-Za-z0-9_-]++\\.[A-Za-z0-9_-]++", 4096);
    static final Predicate<String> PRINTABLE = whole("[!-~](?:[ -~]*[!-~])?", 1024);
    static final Predicate<String> UPGRADE = whole("[A-Za-z0-9!#$%&'*+.^_`|~/-]{1,64}", 64);
    static final Predicate<String> WEBSOCKET_KEY = whole("[A-Za-z0-9+/]{22}==", 24);
    static final Predicate<String> DIGEST = whole("sha-256=:" + BASE64_OF_32 + ":", 54);
    static final Predicate<String> KID = whole("[!-~]+", 256);
    static final Predicate<String> AGREED_KEYID = whole("[A-Za-z0-9_-]{43}\\.[A-Za-z0-9_-]{43}", 87);
    static final Predicate<String> BASE64URL_OF_32 = whole("[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]", 43);
    static final Predicate<String> METHOD = whole("[A-Z]{1,20}(?:-[A-Z]{1,20})?", 41);
    static final Predicate<String> DIGITS = whole("[0-9]++", Integer.MAX_VALUE);
    static final Predicate<String> SIGNATURE =
        whole("countersign=:(?:" + BASE64_OF_32 + "|[A-Za-z0-9+/]{85}[AQgw]==):", 102);
    static final Pattern SIGNATURE_INPUT = Pattern.compile("countersign=((\\((?:" + NAME + "(?: " + NAME + ")*+)?\\))"
        + ";created=" + TIME + ";expires=" + TIME + ";nonce=\"([A-Za-z0-9_-]{16,64})\";keyid=\"(" + ID_TEXT + ")\""
        + ";alg=\"([a-z0-9-]{1,32})\";tag=\"([a-z0-9-]{1,64})\")");

    private static final Predicate<String> PATH = whole("/(?:[" + COMMON + "'][" + COMMON + "'/]*+)?", 16384);
    private static final Predicate<String> QUERY = whole("\\?[" + COMMON + "/?]*+", 16384);
    static final Predicate<String> EXEMPT_PATH =
        whole("/healthz|/readyz|/metrics|/\\.well-known(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*+)++", 256);
    private static final Pattern PARAMETERS = Pattern.compile("(?:;|%3[bB]).*", Pattern.DOTALL);

    private Grammar() {}

    private static Predicate<String> whole(String pattern, int maxLength) {
        Predicate<String> matches = Pattern.compile(pattern).asMatchPredicate();
        return value -> value.length() <= maxLength && matches.test(value);
    }

    /** Section 6 of the draft. */
    static boolean isTarget(Request request) {
        if (!METHOD.test(request.method()) || !PATH.test(request.path()) || !QUERY.test(request.query())) return false;
        String[] segments = request.path().substring(1).split("/", -1);
        for (int i = 0; i < segments.length; i++) {
            String rest = PARAMETERS.matcher(segments[i]).replaceFirst("");
            if (i == 0 && rest.isEmpty() && !segments[0].isEmpty()) return false;
            String dots = rest.replace("%2e", ".").replace("%2E", ".");
            if (dots.equals(".") || dots.equals("..")) return false;
        }
        return true;
    }
}
