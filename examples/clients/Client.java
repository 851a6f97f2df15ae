import static java.util.stream.Collectors.joining;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Decides one credit application over HTTP: a caller to copy. It needs a JDK from version 17, and no library.
 *
 * <pre>java Client.java [application.json]</pre>
 *
 * The exit status is 0 when it is decided, 1 when it is refused for good, and 2 when the caller gives up.
 */
public class Client {
    static final String SERVICE = System.getenv().getOrDefault("CREDIT_RISK_URL", "http://localhost:3000");
    static final String TOKEN = System.getenv("CREDIT_RISK_TOKEN");
    static final Duration CONNECT = Duration.ofSeconds(2);
    static final Duration ATTEMPT = Duration.ofSeconds(5); // until the answer begins; it is a few hundred bytes
    static final long[] BACKOFFS = {500, 1_000, 2_000}; // the least milliseconds before each further attempt
    static final Duration TOTAL = Duration.ofSeconds(30); // after which no attempt begins

    /** The service would refuse the same request again. */
    static class RefusedException extends Exception {
        RefusedException(String message) {
            super(message);
        }
    }

    /** The service did not decide now. It may after {@code retryAfter} milliseconds. */
    static class UnavailableException extends Exception {
        final long retryAfter;

        UnavailableException(String message, long retryAfter) {
            super(message);
            this.retryAfter = retryAfter;
        }
    }

    /** Asks until the service decides, or until asking again is no use. */
    static String decide(HttpClient client, HttpRequest request) throws Exception {
        long begun = System.nanoTime();
        for (long backoff : BACKOFFS) {
            try {
                return ask(client, request);
            } catch (UnavailableException error) {
                // The jitter keeps callers that failed together from coming back together.
                double jitter = ThreadLocalRandom.current().nextDouble();
                long wait = (long) (Math.max(error.retryAfter, backoff) * (1 + jitter));
                if (System.nanoTime() - begun + wait * 1_000_000 > TOTAL.toNanos()) {
                    throw error;
                }
                System.err.printf("%s Trying again in %.1f s.%n", error.getMessage(), wait / 1000.0);
                Thread.sleep(wait);
            }
        }
        return ask(client, request);
    }

    static String ask(HttpClient client, HttpRequest request) throws Exception {
        HttpResponse<String> response;
        try {
            response = client.send(request, BodyHandlers.ofString());
        } catch (IOException error) { // refused, reset, or too late
            throw new UnavailableException("The service did not answer (" + error + ").", 0);
        }
        String body = response.body();
        int status = response.statusCode();
        String message = "The service answered " + status + find(body, "\"error\":\"(.*?)\",\"detail\"")
                .map(found -> " (" + found.group(1) + ")").collect(joining()) + ".";
        switch (status) {
            case 200:
                return body;
            case 400:
                throw new RefusedException(message + find(body, "\"loc\":\\[\"?(.*?)\"?],\"msg\":\"(.*?)\",\"type\"")
                        .map(fault -> "\n- " + fault.group(1).replaceAll("^$", "application") + ": " + fault.group(2))
                        .collect(joining()));
            case 401:
                throw new RefusedException(message + " Set CREDIT_RISK_TOKEN to a token that the service knows.");
            case 429, 503:
                // Without seconds (a proxy may send a date, or nothing) the backoff counts.
                String after = response.headers().firstValue("Retry-After").orElse("");
                throw new UnavailableException(message, after.matches("\\d{1,9}") ? 1000 * Long.parseLong(after) : 0);
            default:
                // With 500 and 504, as without an answer, the service may have decided, and the decision be on record.
                // Asking again gives the same decision and another record, with the same request id.
                if (status >= 500) {
                    throw new UnavailableException(message, 0);
                }
                // 408, 413 and 431: the request is too slow or too large; 404 and others: the URL is wrong
                throw new RefusedException(message);
        }
    }

    /** The JDK reads no JSON. Where you have Jackson or Gson, use it instead. */
    static Stream<MatchResult> find(String json, String pattern) {
        return Pattern.compile(pattern).matcher(json).results();
    }

    static void print(String decision) {
        find(decision, "\"Status\":\"(.*?)\",\"probability_of_default\":(.*?),").forEach(found ->
                System.out.println(found.group(1) + ", with a probability of default of " + found.group(2)));
        String reasons = decision.replaceAll(".*\"reasons\":\\[|],\"warnings\".*", "");
        find(reasons, "\"code\":\"(.*?)\",\"text\":\"(.*?)\"}").forEach(found ->
                System.out.println("Reason " + found.group(1) + ": " + found.group(2)));
        find(decision, "\"decision_id\":\"(.*?)\"").forEach(found -> System.out.println("Decision " + found.group(1)));
    }

    public static void main(String[] arguments) throws Exception {
        // The service puts this id on record with the decision, and into its answer. Keep it: support and traces find
        // the request by it, also when no answer came.
        String requestId = UUID.randomUUID().toString();
        System.err.println("Request " + requestId);
        try {
            HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(SERVICE.replaceAll("/$", "") + "/classify"))
                    .timeout(ATTEMPT)
                    .headers("Content-Type", "application/json", "X-Request-Id", requestId)
                    .POST(BodyPublishers.ofFile(Path.of(arguments.length > 0 ? arguments[0] : "application.json")));
            if (TOKEN != null) {
                request.header("Authorization", "Bearer " + TOKEN);
            }
            // A program keeps one client, and with it the connections.
            HttpClient client = HttpClient.newBuilder().connectTimeout(CONNECT).build();
            print(decide(client, request.build()));
        } catch (RefusedException | FileNotFoundException error) {
            System.err.println(error.getMessage());
            System.exit(1);
        } catch (UnavailableException error) {
            System.err.println(error.getMessage() + " Gave up.");
            System.exit(2);
        }
    }
}
