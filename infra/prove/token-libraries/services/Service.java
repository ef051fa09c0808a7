import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import org.jose4j.jwt.JwtClaims;
import org.jose4j.jwt.consumer.InvalidJwtException;

class Service {
  public static void main(String[] args) throws IOException {
    int port = Integer.parseInt(System.getenv("PORT"));
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
    server.createContext("/", Service::handle);
    server.start();
  }

  static void handle(HttpExchange exchange) throws IOException {
    byte[] body = exchange.getRequestBody().readAllBytes();
    Headers headers = exchange.getRequestHeaders();
    String token = headers.getFirst("Countersign-Token");
    String target = exchange.getRequestURI().toString();
    if (target.startsWith("/stream")) body = null;
    try {
      JwtClaims claims = IdentityToken.verify(token == null ? "" : token);
      boolean isBound = BoundRequest.matches(claims, exchange.getRequestMethod(), target, headers::getFirst, body);
      if (isBound) answer(exchange, 200, claims.getClaimValueAsString("user_id"));
      else answer(exchange, 401, "another request");
    } catch (InvalidJwtException refused) {
      answer(exchange, 401, refused.toString());
    } catch (Exception broken) {
      answer(exchange, 500, broken.toString());
    }
  }

  static void answer(HttpExchange exchange, int status, String text) throws IOException {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    exchange.sendResponseHeaders(status, bytes.length);
    exchange.getResponseBody().write(bytes);
    exchange.close();
  }
}
