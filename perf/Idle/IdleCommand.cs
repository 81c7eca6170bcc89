using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Dbt.Cli.Api;
using Dbt.Cli.Control;
using Dbt.Cli.Hosting;
using Dbt.Perf.Boot;
using Grpc.Core;

namespace Dbt.Perf.Idle;

/// <summary>
/// <c>idle</c>: so many guests at their prompts in one daemon, what processor time all of them take together, how much memory each, and what it cost to
/// translate the first and the later ones.
/// </summary>
internal static class IdleCommand
{
    private static readonly TimeSpan PromptLimit = TimeSpan.FromMinutes(5);

    /// <summary>Runs it.</summary>
    /// <returns>An exit status.</returns>
    public static async Task<int> RunAsync(string[] words)
    {
        var kernel = new Option<string?>("--kernel") { Description = "A kernel; without it our own guest" };
        var ramdisk = new Option<string?>("--initrd") { Description = "Its initial RAM disk, which ends at a shell prompt" };
        var commandLine = new Option<string>("--cmdline") { Description = "The kernel's parameters", DefaultValueFactory = _ => "console=hvc0 quiet mitigations=off noisapnp cryptomgr.notests" };
        var prompt = new Option<string>("--prompt") { Description = "What the console shows last when the shell waits", DefaultValueFactory = _ => "# " };
        var guests = new Option<int>("--guests") { Description = "How many", DefaultValueFactory = _ => 24 };
        var memory = new Option<int>("--memory") { Description = "MiB each", DefaultValueFactory = _ => 128 };
        var settle = new Option<double>("--settle") { Description = "Seconds left to them before it is measured", DefaultValueFactory = _ => 15 };
        var seconds = new Option<double>("--seconds") { Description = "Seconds measured", DefaultValueFactory = _ => 60 };
        var most = new Option<double?>("--most") { Description = "Fail where all of them take more per cent of one processor" };
        var dbt = new Option<string?>("--dbt") { Description = "The command; by default the script of the tree that this was built from" };
        var root = new RootCommand("Measures idle guests in one daemon.") { kernel, ramdisk, commandLine, prompt, guests, memory, settle, seconds, most, dbt };
        int status = 0;
        root.SetAction(async (result, _) =>
        {
            string folder = Directory.CreateTempSubdirectory("dbt-idle").FullName;
            foreach (string variable in (ReadOnlySpan<string>)["XDG_RUNTIME_DIR", "XDG_STATE_HOME"])
            {
                Environment.SetEnvironmentVariable(variable, folder);
            }

            string command = result.GetValue(dbt) ?? BootCommand.FindScript();
            string[] settings = result.GetValue(kernel) is string image
                ? [$"kernel={Path.GetFullPath(image)}", $"ramdisk={Path.GetFullPath(result.GetValue(ramdisk) ?? throw new BootFailure("--initrd FILE is needed with --kernel."))}", $"cmdline={result.GetValue(commandLine)}"]
                : [];
            string end = result.GetValue(kernel) is null ? "dbt> " : result.GetValue(prompt)!;
            try
            {
                double share = await MeasureAsync(command, [.. settings, $"memory={result.GetValue(memory)}"], end, result.GetValue(guests), result.GetValue(settle), result.GetValue(seconds));
                status = result.GetValue(most) is double limit && share > limit ? 1 : 0;
            }
            finally
            {
                Run(command, ["daemon", "stop", "--force"]);
                Directory.Delete(folder, recursive: true);
            }
        });
        try
        {
            await root.Parse(words).InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
            return status;
        }
        catch (BootFailure failure)
        {
            Console.Error.WriteLine($"perf: {failure.Message}");
            return 1;
        }
    }

    private static async Task<double> MeasureAsync(string dbt, string[] settings, string prompt, int guests, double settle, double seconds)
    {
        Run(dbt, ["daemon"]);
        int process = await ProcessOfDaemonAsync();
        await Task.Delay(TimeSpan.FromSeconds(5));
        DaemonSample empty = DaemonSample.Take(process);
        Console.WriteLine(Text($"daemon without guests: {empty.ResidentKib / 1024.0:F1} MiB resident"));
        for (int i = 0; i < guests; i++)
        {
            string name = Text($"idle{i}");
            DaemonSample before = DaemonSample.Take(process);
            var clock = Stopwatch.StartNew();
            Run(dbt, ["create", "-q", $"name={name}", .. settings]);
            await AwaitPromptAsync(name, prompt);
            TimeSpan cpu = DaemonSample.Take(process).Cpu - before.Cpu;
            Console.WriteLine(Text($"{name,-8} at its prompt after {clock.Elapsed.TotalSeconds,6:F2} s, {cpu.TotalSeconds,6:F2} s CPU; {await TranslationsAsync(name)}"));
        }

        await Task.Delay(TimeSpan.FromSeconds(settle));
        DaemonSample first = DaemonSample.Take(process);
        var watch = Stopwatch.StartNew();
        await Task.Delay(TimeSpan.FromSeconds(seconds));
        DaemonSample last = DaemonSample.Take(process);
        double elapsed = watch.Elapsed.TotalSeconds, share = (last.Cpu - first.Cpu).TotalSeconds / elapsed * 100;
        Console.WriteLine(Text($"{guests} guests idle: {share:F2} % of one processor over {elapsed:F0} s, {share / guests:F3} % each; {(last.Switches - first.Switches) / elapsed:F0} wake-ups a second"));
        Console.WriteLine(Text($"resident: {last.ResidentKib / 1024.0:F1} MiB, {(last.ResidentKib - empty.ResidentKib) / 1024.0 / guests:F1} MiB for each guest, {last.MachineKib / 1024.0 / guests:F1} of that its own memory"));
        return share;
    }

    private static async Task<int> ProcessOfDaemonAsync()
    {
        using DaemonClient daemon = DaemonClient.TryFind() ?? throw new BootFailure("the daemon did not start.");
        return (int)(await daemon.CallAsync(calls => calls.GetInformationAsync(new InformationRequest()))).ProcessId;
    }

    private static async Task AwaitPromptAsync(string name, string prompt)
    {
        using ControlClient client = await ControlClient.FindAsync(ControlFolder.Open(ControlFolder.DefaultPath), name);
        using AsyncDuplexStreamingCall<ConsoleInput, ConsoleOutput> call = client.Calls.Console(deadline: DateTime.UtcNow + PromptLimit);
        await call.RequestStream.WriteAsync(new ConsoleInput { Domain = client.Id });
        var text = new StringBuilder();
        while (!text.ToString().EndsWith(prompt, StringComparison.Ordinal))
        {
            if (!await call.ResponseStream.MoveNext(CancellationToken.None))
            {
                throw new BootFailure($"{name} ended: {text}");
            }

            text.Append(call.ResponseStream.Current.Data.ToStringUtf8());

            // Busybox asks the terminal where the cursor is, behind its prompt.
            text.Replace("\u001b[6n", "");
        }
    }

    private static async Task<string> TranslationsAsync(string name)
    {
        using ControlClient client = await ControlClient.FindAsync(ControlFolder.Open(ControlFolder.DefaultPath), name);
        TextReply reply = await client.CallAsync((call, id, deadline) => call.GetStatisticsAsync(new DomainRequest { Domain = id }, deadline: deadline));
        using var counters = JsonDocument.Parse(reply.Text);
        return Text($"{counters.RootElement.GetProperty("regionsCompiled").GetInt64()} regions compiled in {counters.RootElement.GetProperty("compileMilliseconds").GetDouble() / 1000:F2} s, {counters.RootElement.GetProperty("regionsTakenOver").GetInt64()} taken over");
    }

    private static void Run(string dbt, string[] words)
    {
        using Process process = Process.Start(new ProcessStartInfo(dbt, words) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new BootFailure($"dbt {words[0]}: {errors.Result}{output.Result}");
        }
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
