package dev.countersign.identity;

import java.util.*;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The head of a request as it was received: the method, the target, neither decoded nor normalized, and every header
 * line in its order (Section 4.2). Each character of a text is the octet with the same number (ISO 8859-1).
 */
public record Request(String method, String target, List<Line> lines) {
    private static final String COMMON = "A-Za-z0-9\\-._~!$&()*+,;=:@\\[\\]%";
    private static final Predicate<String> METHOD = Fields.whole("[A-Z]{1,20}(?:-[A-Z]{1,20})?", 41);
    private static final Predicate<String> PATH = Fields.whole("/(?:[" + COMMON + "'][" + COMMON + "'/]*+)?", 16384);
    private static final Predicate<String> QUERY = Fields.whole("\\?[" + COMMON + "/?]*+", 16384);
    private static final Predicate<String> EXEMPT_PATH =
        Fields.whole("/healthz|/readyz|/metrics|/\\.well-known(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*+)++", 256);
    private static final Pattern PARAMETERS = Pattern.compile("(?:;|%3[bB]).*");

    /** One header line: its name as it was received, and its value without the spaces and tabs around it. */
    public record Line(String name, String value) {
        /** Trims the value: no other white space counts (R4-7). */
        public Line {
            int end = value.length();
            while (end > 0 && " \t".indexOf(value.charAt(end - 1)) >= 0) end--;
            value = value.substring(0, end).replaceFirst("^[ \t]++", "");
        }

        String lowerName() { return name.toLowerCase(Locale.ROOT); }
    }

    /** {@return the target up to its first question mark} */
    public String path() { return target.split("\\?", 2)[0]; }

    /** The rest of the target with its question mark, or a question mark alone. */
    String query() { return target.contains("?") ? target.substring(path().length()) : "?"; }

    /** Section 6 of the draft. */
    boolean isInGrammar() {
        if (!METHOD.test(method) || !PATH.test(path()) || !QUERY.test(query())) return false;
        List<String> segments = Stream.of(path().substring(1).split("/", -1))
            .map(segment -> PARAMETERS.matcher(segment).replaceFirst("").replaceAll("%2[eE]", ".")).toList();
        boolean isHidden = segments.get(0).isEmpty() && !path().equals("/");
        return !isHidden && segments.stream().noneMatch(segment -> segment.equals(".") || segment.equals(".."));
    }

    /** {@return whether the method and the path need no identity (Section 3)} */
    public boolean isExempt() { return method.matches("GET|HEAD") && EXEMPT_PATH.test(path()); }

    /** {@return the request for the handler of an exempt path, without identity headers and their aliases (R3-2)} */
    public Request withoutIdentity() {
        List<Line> others = lines.stream().filter(line -> !Fields.isIdentityHeader(line.name())).toList();
        return new Request(method, target, others);
    }
}
