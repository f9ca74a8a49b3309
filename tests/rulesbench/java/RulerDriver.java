import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import software.amazon.event.ruler.GenericMachine;

/**
 * AWS Event Ruler as a worker of the benchmark of rules: it answers as src/worker.rs does.
 *
 * <p>Arguments: the file of events, the file of rules (id, tabulator, rule), the number of events.
 */
public final class RulerDriver {
  private static final int EVENTS_MIN = 5;
  private static final double WARM_UP_SECONDS_MIN = 1.0;
  private static final double WARM_UP_PASSES = 6.0;

  private final GenericMachine<Integer> machine = new GenericMachine<>();
  private final List<byte[]> events;

  private RulerDriver(List<byte[]> events) {
    this.events = events;
  }

  public static void main(String[] arguments) throws Exception {
    RulerDriver driver = new RulerDriver(readEvents(Path.of(arguments[0]), Integer.parseInt(arguments[2])));
    List<String> rules = Files.readAllLines(Path.of(arguments[1]));
    answer("{\"loaded\":true}");
    driver.build(rules);
    rules = null;
    driver.serve();
  }

  private static List<byte[]> readEvents(Path file, int count) throws Exception {
    List<byte[]> events = new ArrayList<>();
    try (BufferedReader reader = Files.newBufferedReader(file)) {
      for (String line = reader.readLine(); line != null && events.size() < count; line = reader.readLine()) {
        events.add(line.getBytes(StandardCharsets.UTF_8));
      }
    }
    return events;
  }

  private void build(List<String> rules) throws Exception {
    long before = liveBytes();
    long started = System.nanoTime();
    for (String rule : rules) {
      int tab = rule.indexOf('\t');
      machine.addRule(Integer.valueOf(rule.substring(0, tab)), rule.substring(tab + 1));
    }
    double buildSeconds = secondsSince(started);
    started = System.nanoTime();
    match(0);
    double firstSeconds = secondsSince(started);
    long bytes = Math.max(0, liveBytes() - before);
    answer("{\"build_s\":%f,\"first_s\":%f,\"bytes\":%d}", buildSeconds, firstSeconds, bytes);
  }

  private void serve() throws Exception {
    BufferedReader questions = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = questions.readLine(); line != null; line = questions.readLine()) {
      String[] words = line.split(" ");
      int count = Math.min(Integer.parseInt(words[1]), events.size());
      if (words[0].equals("verify")) {
        verify(count, Double.parseDouble(words[2]));
      } else {
        round(count);
      }
    }
  }

  /** Compiled code is as fast as it gets only after a while: passes before the one that counts. */
  private void verify(int count, double seconds) throws Exception {
    double warmUpSeconds = Math.max(WARM_UP_SECONDS_MIN, WARM_UP_PASSES * seconds);
    long started = System.nanoTime();
    for (int event = 0; secondsSince(started) < warmUpSeconds; event++) {
      match(event % count);
    }
    long matches = 0;
    long sum = 0;
    int done = 0;
    started = System.nanoTime();
    for (int event = 0; event < count; event++) {
      List<Integer> found = match(event);
      matches += found.size();
      for (int rule : found) {
        sum += mixed(event, rule);
      }
      done = event + 1;
      if (done >= EVENTS_MIN && secondsSince(started) > seconds) {
        break;
      }
    }
    long nanos = System.nanoTime() - started;
    answer("{\"events\":%d,\"count\":%d,\"sum\":%s,\"ns\":%d}", done, matches, Long.toUnsignedString(sum), nanos);
  }

  private void round(int count) throws Exception {
    long matches = 0;
    long started = System.nanoTime();
    for (int event = 0; event < count; event++) {
      matches += match(event).size();
    }
    answer("{\"count\":%d,\"ns\":%d}", matches, System.nanoTime() - started);
  }

  private List<Integer> match(int event) throws Exception {
    return machine.rulesForJSONEvent(new String(events.get(event), StandardCharsets.UTF_8));
  }

  /** The same number as in src/oracle.rs. */
  private static long mixed(long event, long rule) {
    long mixed = (event + 1) * 0x9E3779B97F4A7C15L + (rule + 1) * 0xC2B2AE3D27D4EB4FL;
    mixed ^= mixed >>> 29;
    mixed *= 0xBF58476D1CE4E5B9L;
    return mixed ^ (mixed >>> 32);
  }

  private static long liveBytes() {
    for (int times = 0; times < 3; times++) {
      System.gc();
    }
    Runtime runtime = Runtime.getRuntime();
    return runtime.totalMemory() - runtime.freeMemory();
  }

  private static double secondsSince(long nanos) {
    return (System.nanoTime() - nanos) / 1e9;
  }

  private static void answer(String format, Object... values) {
    System.out.println(String.format(Locale.ROOT, format, values));
    System.out.flush();
  }
}
