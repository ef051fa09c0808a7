package dev.countersign.identity;

import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import org.apache.catalina.Lifecycle;
import org.apache.catalina.core.StandardContext;
import org.apache.catalina.startup.Tomcat;
import org.apache.tomcat.SimpleInstanceManager;
import org.apache.tomcat.util.descriptor.web.FilterDef;
import org.apache.tomcat.util.descriptor.web.FilterMap;

/** The same service in Tomcat: {@code PORT}, {@code GATEWAY_KEYS_URL}. */
public final class TomcatService {
    private TomcatService() {}

    public static void main(String[] args) throws Exception {
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(Files.createTempDirectory("tomcat").toString());
        tomcat.setPort(Echo.port());
        tomcat.getConnector().setProperty("address", "127.0.0.1");
        tomcat.getConnector().setProperty("maxHttpRequestHeaderSize", "65536");
        tomcat.getConnector().setProperty("maxHeaderCount", "300");
        // Tomcat.addContext reads annotations, whose classes Debian does not have beside Tomcat.
        StandardContext context = new StandardContext();
        context.setPath("");
        context.setInstanceManager(new SimpleInstanceManager());
        context.addLifecycleListener(event -> {
            if (event.getType().equals(Lifecycle.CONFIGURE_START_EVENT)) context.setConfigured(true);
        });
        tomcat.getHost().addChild(context);
        FilterDef filter = new FilterDef();
        filter.setFilterName("identity");
        filter.setFilter(new IdentityFilter(new Verifier(Echo.settings()), "user", "client", "anonymous", "service",
            "gateway"));
        context.addFilterDef(filter);
        FilterMap map = new FilterMap();
        map.setFilterName("identity");
        map.addURLPattern("/*");
        context.addFilterMap(map);
        Tomcat.addServlet(context, "echo", new EchoServlet()).addMapping("/*");
        tomcat.start();
        tomcat.getServer().await();
    }

    private static final class EchoServlet extends HttpServlet {
        private static final long serialVersionUID = 1;

        @Override
        protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
            response.setContentType("application/json");
            String answer = Echo.answer(IdentityFilter.identity(request));
            response.getOutputStream().write(answer.getBytes(StandardCharsets.UTF_8));
        }
    }
}
