package dev.countersign.identity;

import java.util.function.Predicate;
import java.util.regex.Pattern;

/** The grammars of the draft that several classes need. A pattern always describes the whole value. */
final class Grammar {
    static final String ID_TEXT = "[A-Za-z0-9._~:@|-]{1,128}";
    static final String BASE64_OF_32 = "[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=";
    static final Predicate<String> ID = whole(ID_TEXT, 128);
    static final Predicate<String> UUID_V7 =
        whole("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", 36);
    static final Predicate<String> AGREED_KEYID = whole("[A-Za-z0-9_-]{43}\\.[A-Za-z0-9_-]{43}", 87);
    static final Predicate<String> BASE64URL_OF_32 = whole("[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]", 43);
    static final Predicate<String> SIGNATURE =
        whole("countersign=:(?:" + BASE64_OF_32 + "|[A-Za-z0-9+/]{85}[AQgw]==):", 102);
    private static final String NAME = "\"[a-z0-9@-]{1,64}\"";
    private static final String TIME = "(0|[1-9][0-9]{0,11})";
    static final Pattern SIGNATURE_INPUT = Pattern.compile("countersign=((\\((?:" + NAME + "(?: " + NAME + ")*+)?\\))"
        + ";created=" + TIME + ";expires=" + TIME + ";nonce=\"([A-Za-z0-9_-]{16,64})\";keyid=\"(" + ID_TEXT + ")\""
        + ";alg=\"([a-z0-9-]{1,32})\";tag=\"([a-z0-9-]{1,64})\")");

    static Predicate<String> whole(String pattern, int maxLength) {
        Predicate<String> matches = Pattern.compile(pattern).asMatchPredicate();
        return value -> value.length() <= maxLength && matches.test(value);
    }
}
