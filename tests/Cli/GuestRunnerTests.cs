using System.Text;
using System.Text.Json;
using Dbt.Cli;
using Dbt.Cli.Config;
using Dbt.Cli.Running;
using Dbt.Cli.Terminal;
using Dbt.Translator;
using Dbt.Xen.Builder;

namespace Dbt.Tests.Cli;

/// <summary>Our own guest, from its configuration to its end.</summary>
public sealed class GuestRunnerTests : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-run").FullName;
    private readonly ConsoleTranscript _output = new();
    private readonly StringWriter _errors = new();

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Output => _output.Text;

    private Task<int> Run(string input, params string[] settings) => Run(input, new RunOptions(), settings);

    private async Task<int> Run(string input, RunOptions options, params string[] settings)
    {
        GuestConfig config = GuestConfigReader.Read(null, settings);
        using var runner = new GuestRunner(
            config,
            options with { Engine = EngineKind.Interpreter, Timeout = options.Timeout ?? Limit },
            _output,
            TextWriter.Synchronized(_errors),
            leave => new InputPump(_output.Answer(input), leave));
        return await runner.RunAsync();
    }

    [Fact]
    public async Task PoweringOffIsSuccess()
    {
        Assert.Equal(ExitStatus.Success, await Run("echo one two\nhalt\n", "memory=32"));
        Assert.Contains("dbt> echo one two", Output, StringComparison.Ordinal);
        Assert.Contains("\none two", Output.Replace("\r", "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Equal("", _errors.ToString());
    }

    [Fact]
    public async Task TheLastOutputIsNotLost()
    {
        Assert.Equal(ExitStatus.Success, await Run("echo the very last words\nhalt\n"));
        Assert.EndsWith("dbt> halt", Output.TrimEnd(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ud2")]
    [InlineData("pagefault")]
    [InlineData("triple")]
    [InlineData("panic")]
    public async Task ACrashIsReported(string how)
    {
        Assert.Equal(ExitStatus.GuestCrash, await Run($"crash {how}\n"));
        string errors = _errors.ToString();
        Assert.StartsWith("dbt: dbt-guest crashed: ", errors, StringComparison.Ordinal);
        Assert.Contains("EIP ", errors, StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ARebootRestartsUnlessToldOtherwise()
    {
        Assert.Equal(ExitStatus.Success, await Run("reboot\necho second life\nhalt\n"));
        Assert.Equal(2, Output.Split("a 32-bit PAE Xen").Length - 1);
        Assert.Contains("second life", Output, StringComparison.Ordinal);
        _output.Clear();
        Assert.Equal(ExitStatus.Success, await Run("reboot\nhalt\n", "on_reboot=destroy"));
        Assert.DoesNotContain("halt", Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ATimeoutHasItsOwnStatus()
    {
        Assert.Equal(ExitStatus.Timeout, await Run("", new RunOptions { Timeout = TimeSpan.FromSeconds(0.5) }));
        Assert.Equal("dbt: dbt-guest did not end within 0.5 s", _errors.ToString().TrimEnd());
    }

    [Fact]
    public async Task TheEscapeLeaves()
    {
        Assert.Equal(ExitStatus.Failure, await Run("echo\n\u001Dhalt\n"));
        Assert.DoesNotContain("halt", Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task StatisticsAndLogAreWritten()
    {
        string statistics = Path.Combine(_folder, "stats.json"), log = Path.Combine(_folder, "log");
        Assert.Equal(ExitStatus.Success, await Run("halt\n", new RunOptions { StatisticsPath = statistics, LogPath = log }));
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(statistics));
        JsonElement root = json.RootElement;
        JsonElement instructions = root.GetProperty("instructions");
        Assert.True(instructions.GetProperty("interpreted").GetInt64() > 100_000);
        Assert.Equal(instructions.GetProperty("total").GetInt64(), instructions.GetProperty("interpreted").GetInt64());
        Assert.True(root.GetProperty("hypercalls").GetProperty("event_channel_op").GetInt64() > 0);
        Assert.True(root.GetProperty("tlbFills").GetInt64() > 0);
        foreach (string name in (string[])["blocksCompiled", "regionsCompiled", "compileMilliseconds", "sideExits", "events"])
        {
            Assert.True(root.TryGetProperty(name, out _), name);
        }

        Assert.Contains("built from the embedded guest", File.ReadAllText(log), StringComparison.Ordinal);
    }

    [Fact]
    public async Task ADiskIsThere()
    {
        string image = Path.Combine(_folder, "disk.img");
        File.WriteAllBytes(image, [.. "first sector"u8, .. new byte[(64 << 10) - 12]]);
        Assert.Equal(ExitStatus.Success, await Run("disk write 1 hello\ndisk read 0\nhalt\n", $"disk=['{image},raw,xvda,w']"));
        Assert.Contains("first sector", Output, StringComparison.Ordinal);
        Assert.Equal("hello", Encoding.ASCII.GetString(File.ReadAllBytes(image), 512, 5));
    }

    [Fact]
    public async Task AGuestThatCannotBeBuiltLeavesNothingBehind()
    {
        string log = Path.Combine(_folder, "log");
        await Assert.ThrowsAsync<DomainBuildException>(() => Run("", new RunOptions { LogPath = log }, "memory=1"));
        Assert.Empty(Directory.GetFiles(_folder));
    }
}
