using System.Text;
using Dbt.Cli.Config;
using Dbt.Cli.Running;
using Dbt.Cli.Terminal;
using Dbt.Tests.Cli;
using Dbt.Translator;

namespace Dbt.Tests.Guests;

/// <summary>What our own guest says and how it ends, run once on each engine that a test asks for.</summary>
public sealed class OwnGuestRuns : IDisposable
{
    private const string Script =
        "help\nmem\nevents\nbench all 2\nuser\ndisk sum\ndisk read 3\ndisk write 3 written\ndisk read 3\ndisk read 9999\nxs ls device\n"
        + "xs read name\nxs write data/a b\nxs read data/a\nxs rm data/a\nxs read data/a\npeek 0xC0100000\npeek 0x1000\nnonsense\n"
        + "selftest\nselftest\nuser\nhalt\n";

    private readonly Lock _lock = new();
    private readonly Dictionary<EngineKind, Task<(int Status, string Output, string Errors)>> _runs = [];
    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-own-guest").FullName;

    /// <summary>The run on an engine.</summary>
    public Task<(int Status, string Output, string Errors)> On(EngineKind engine)
    {
        lock (_lock)
        {
            return _runs.TryGetValue(engine, out var run) ? run : _runs[engine] = Task.Run(() => RunAsync(engine));
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private async Task<(int Status, string Output, string Errors)> RunAsync(EngineKind engine)
    {
        string image = Path.Combine(_folder, $"{engine}.img");
        byte[] content = new byte[100 << 10];
        for (int i = 0; i < content.Length; i++)
        {
            content[i] = (byte)((i >> 9) + (i * 3));
        }

        Encoding.ASCII.GetBytes("sector three").CopyTo(content, 3 * 512);
        File.WriteAllBytes(image, content);
        GuestConfig config = GuestConfigReader.Read(null, [$"disk=['{image},raw,xvda,w']", "memory=48", "vcpus=3"]);
        using var output = new ConsoleTranscript();
        using var errors = new StringWriter();
        using var runner = new GuestRunner(
            config,
            new RunOptions { Engine = engine, Timeout = TimeSpan.FromMinutes(4) },
            output,
            TextWriter.Synchronized(errors),
            leave => new InputPump(output.Answer(Script), leave));
        int status = await runner.RunAsync();
        return (status, output.Text.Replace("\r", "", StringComparison.Ordinal), errors.ToString());
    }
}
