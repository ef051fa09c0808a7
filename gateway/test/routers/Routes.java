import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.nio.file.Files;
import java.util.Map;
import org.apache.catalina.startup.Tomcat;

public class Routes {
  public static void main(String[] arguments) throws Exception {
    Tomcat tomcat = new Tomcat();
    String directory = Files.createTempDirectory("tomcat").toString();
    tomcat.setBaseDir(directory);
    tomcat.setPort(0);
    tomcat.getConnector().setProperty("address", "127.0.0.1");
    var context = tomcat.addContext("", directory);
    Map.of("report", "/reports/*", "reports", "/reports", "health", "/healthz", "all", "/*").forEach((handler, path) -> {
      Tomcat.addServlet(context, handler, new HttpServlet() {
        @Override
        protected void service(HttpServletRequest request, HttpServletResponse response) {
          response.setHeader("x-handler", handler);
        }
      });
      context.addServletMappingDecoded(path, handler);
    });
    tomcat.start();
    System.out.println("listening on " + tomcat.getConnector().getLocalPort() + ".");
  }
}
