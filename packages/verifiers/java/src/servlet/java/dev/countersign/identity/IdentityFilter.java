package dev.countersign.identity;

import jakarta.servlet.*;
import jakarta.servlet.http.*;
import java.io.*;
import java.util.*;

/**
 * Lets verified requests and exempt paths through. Map it to {@code /*} before every other filter. It reads
 * the body: {@code getParameter} has the query's parameters only, and {@code getParts} none.
 */
public final class IdentityFilter implements Filter {
    private final Verifier verifier;
    private final List<String> kinds;

    /** Accepts the named kinds of caller, by default {@code user} (R4-5). */
    public IdentityFilter(Verifier verifier, String... kinds) {
        this.verifier = verifier;
        this.kinds = kinds.length == 0 ? List.of("user") : List.of(kinds);
    }

    /** {@return the caller of a request behind the filter, or null on an exempt path} */
    public static Identity identity(ServletRequest request) {
        return (Identity) request.getAttribute(Identity.class.getName());
    }

    @Override
    public void doFilter(ServletRequest in, ServletResponse out, FilterChain chain)
        throws IOException, ServletException {
        HttpServletRequest request = (HttpServletRequest) in;
        HttpServletResponse response = (HttpServletResponse) out;
        List<Request.Line> lines = new ArrayList<>();
        for (String name : Collections.list(request.getHeaderNames())) {
            Collections.list(request.getHeaders(name)).forEach(value -> lines.add(new Request.Line(name, value)));
        }
        String query = request.getQueryString();
        String target = request.getRequestURI() + (query == null ? "" : "?" + query);
        Request head = new Request(request.getMethod(), target, lines);
        try {
            if (head.isExempt()) {
                Set<String> hidden = new HashSet<>();
                lines.forEach(line -> hidden.add(line.lowerName()));
                head.withoutIdentity().lines().forEach(line -> hidden.remove(line.lowerName()));
                chain.doFilter(new Guarded(request, hidden, null), new Clean(response));
                return;
            }
            Verifier.Verified verified = verifier.verify(head, request.getInputStream()::readNBytes);
            request.setAttribute(Identity.class.getName(), verified.identity().requireKind(kinds));
            chain.doFilter(new Guarded(request, Set.of(), verified.body()), new Clean(response));
        } catch (Refused refused) {
            Refused.Response answer = verifier.answer(head, refused);
            response.reset();
            response.setStatus(answer.status());
            answer.headers().forEach(response::setHeader);
            response.setContentLength(answer.body().length);
            response.getOutputStream().write(answer.body());
        }
    }

    /** The request with the verified body, if it was read; on an exempt path, with the headers that remain. */
    private static final class Guarded extends HttpServletRequestWrapper {
        private final Set<String> hidden;
        private final byte[] body;

        Guarded(HttpServletRequest request, Set<String> hidden, byte[] body) {
            super(request);
            this.hidden = hidden;
            this.body = body;
        }

        @Override public String getHeader(String name) {
            return hidden.contains(name.toLowerCase(Locale.ROOT)) ? null : super.getHeader(name);
        }

        @Override public Enumeration<String> getHeaders(String name) {
            return getHeader(name) == null ? Collections.emptyEnumeration() : super.getHeaders(name);
        }

        @Override public Enumeration<String> getHeaderNames() {
            return Collections.enumeration(Collections.list(super.getHeaderNames()).stream()
                .filter(name -> getHeader(name) != null).toList());
        }

        @Override public ServletInputStream getInputStream() throws IOException {
            if (body == null) return super.getInputStream();
            ByteArrayInputStream in = new ByteArrayInputStream(body);
            return new ServletInputStream() {
                @Override public int read() { return in.read(); }
                @Override public boolean isFinished() { return in.available() == 0; }
                @Override public boolean isReady() { return true; }
                @Override public void setReadListener(ReadListener listener) { throw new IllegalStateException(); }
            };
        }

        @Override public BufferedReader getReader() throws IOException {
            String charset = getCharacterEncoding() == null ? "UTF-8" : getCharacterEncoding();
            return new BufferedReader(new InputStreamReader(getInputStream(), charset));
        }
    }

    /** The response without the fields that only a verifier sets (R10-6). */
    private static final class Clean extends HttpServletResponseWrapper {
        Clean(HttpServletResponse response) { super(response); }

        private static boolean isFree(String name) { return !name.toLowerCase(Locale.ROOT).startsWith("x-identity-"); }

        @Override public void setHeader(String name, String value) { if (isFree(name)) super.setHeader(name, value); }

        @Override public void addHeader(String name, String value) { if (isFree(name)) super.addHeader(name, value); }
    }
}
