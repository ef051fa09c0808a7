package dev.countersign.identity;

import jakarta.servlet.*;
import jakarta.servlet.http.*;
import java.io.*;
import java.util.*;

/** Lets verified requests and exempt paths through. Map it to every path, before every other filter. */
public final class IdentityFilter implements Filter {
    private final Verifier verifier;
    private final String[] kinds;

    /** Accepts the kinds of {@link Identity#requireKind}. */
    public IdentityFilter(Verifier verifier, String... kinds) {
        this.verifier = verifier;
        this.kinds = kinds;
    }

    /** {@return the caller of a request behind the filter, or null on an exempt path} */
    public static Identity identity(ServletRequest request) {
        return (Identity) request.getAttribute(Identity.class.getName());
    }

    @Override public void doFilter(ServletRequest in, ServletResponse out, FilterChain chain)
        throws IOException, ServletException {
        HttpServletRequest request = (HttpServletRequest) in;
        HttpServletResponse response = (HttpServletResponse) out;
        List<Request.Line> lines = new ArrayList<>();
        request.getHeaderNames().asIterator().forEachRemaining(name -> request.getHeaders(name).asIterator()
            .forEachRemaining(value -> lines.add(new Request.Line(name, value))));
        String query = request.getQueryString();
        String target = request.getRequestURI() + (query == null ? "" : "?" + query);
        Request head = new Request(request.getMethod(), target, lines);
        try {
            Verifier.Verified verified = head.isExempt() ? null : verifier.verify(head, request.getInputStream());
            Identity caller = verified == null ? null : verified.identity().requireKind(kinds);
            request.setAttribute(Identity.class.getName(), caller);
            chain.doFilter(guarded(request, verified), new Clean(response));
        } catch (Refused refused) {
            Refused.Response answer = verifier.answer(head, refused);
            response.reset();
            response.setStatus(answer.status());
            answer.headers().forEach(response::setHeader);
            response.setContentLength(answer.body().length);
            response.getOutputStream().write(answer.body());
        }
    }

    /** The request with the verified body, if it was read; on an exempt path, without identity headers (R3-2). */
    private static HttpServletRequest guarded(HttpServletRequest request, Verifier.Verified verified) {
        return new HttpServletRequestWrapper(request) {
            private boolean isVisible(String name) { return verified != null || !Fields.isIdentityHeader(name); }
            @Override public String getHeader(String name) { return isVisible(name) ? super.getHeader(name) : null; }

            @Override public Enumeration<String> getHeaders(String name) {
                return isVisible(name) ? super.getHeaders(name) : Collections.emptyEnumeration();
            }

            @Override public Enumeration<String> getHeaderNames() {
                List<String> names = Collections.list(super.getHeaderNames());
                return Collections.enumeration(names.stream().filter(this::isVisible).toList());
            }

            @Override public ServletInputStream getInputStream() throws IOException {
                if (verified == null || verified.body() == null) return super.getInputStream();
                ByteArrayInputStream in = new ByteArrayInputStream(verified.body());
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
        };
    }

    /** The response without the fields that only a verifier sets (R10-6). */
    private static final class Clean extends HttpServletResponseWrapper {
        Clean(HttpServletResponse response) { super(response); }
        private static boolean isFree(String name) { return !name.toLowerCase(Locale.ROOT).startsWith("x-identity-"); }
        @Override public void setHeader(String name, String value) { if (isFree(name)) super.setHeader(name, value); }
        @Override public void addHeader(String name, String value) { if (isFree(name)) super.addHeader(name, value); }
    }
}
