using System.Text;
using Dbt.Cli.Config;
using Dbt.Translator;
using Dbt.Xen;
using Dbt.Xen.Diagnostics;

namespace Dbt.Tests.Snapshot;

/// <summary>Our own guest (PV) is taken from one hypervisor to another in the middle of whatever it does, and says in the end what it says without that.</summary>
public sealed class MovingTests : IDisposable
{
    private const string Script =
        "mem;bench all 2;user;disk sum;disk read 3;disk write 3 written;disk read 3;xs ls device;xs write data/a b;xs read data/a;bench all 3;selftest;user;halt";

    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-moving").FullName;

    public static TheoryData<EngineKind> Engines => [EngineKind.Interpreter, EngineKind.Quick, EngineKind.Optimized, EngineKind.Tiered];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    // A guest that is given the processor while the test isn't may be at its end before it was moved; it runs again then.
    private const int LeastMoves = 2, MostRuns = 20;

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task GoesOnWhereItWas(EngineKind engine)
    {
        string reference = await RunAsync(engine, null);
        int moves = 0;
        EngineKind[] next = [EngineKind.Tiered, EngineKind.Interpreter, EngineKind.Optimized, EngineKind.Quick, engine];
        for (int run = 0; run < MostRuns && moves < LeastMoves; run++)
        {
            Assert.Equal(reference, await RunAsync(engine, guest =>
            {
                guest.Others = moves % 3;
                moves += moves < 25 && guest.Move(next[moves % next.Length]) ? 1 : 0;
            }));
        }

        Assert.True(moves >= LeastMoves, $"moved {moves} times");
    }

    /// <summary>With event channels by queues, whose words and control blocks are the guest's memory and whose tails are ours, and with a grant table that changes its version.</summary>
    [Theory]
    [InlineData(EngineKind.Interpreter)]
    [InlineData(EngineKind.Tiered)]
    public async Task GoesOnByQueuesWhereItWas(EngineKind engine)
    {
        GuestConfig config = GuestConfigReader.Read(null, ["memory=48", "vcpus=3", "extra='fifo run=selftest;bench all 1;selftest event_channel;selftest grant_version2;selftest processors;halt'"]);
        string reference = await RunAsync(config, engine, null);
        int moves = 0;
        for (int run = 0; run < MostRuns && moves < LeastMoves; run++)
        {
            string moved = await RunAsync(config, engine, guest => moves += moves < 25 && guest.Move(moves % 2 == 0 ? EngineKind.Tiered : EngineKind.Interpreter) ? 1 : 0);
            Assert.DoesNotContain("FAIL", moved, StringComparison.Ordinal);
            Assert.Equal(reference, moved);
        }

        Assert.True(moves >= LeastMoves, $"moved {moves} times");
    }

    /// <summary>A guest that is another domain in each hypervisor that it comes to finds its own nodes in each, by what it reads in them.</summary>
    [Fact]
    public void FindsItsBackEndUnderEachId()
    {
        string image = Path.Combine(_folder, "disk.img");
        File.WriteAllBytes(image, new byte[4096]);
        using var guest = new MovingGuest(GuestConfigReader.Read(null, [$"disk=['{image},raw,xvda,w']", "memory=16"]), EngineKind.Tiered);
        guest.AwaitPrompt(1);
        int[] others = [0, 1, 2, 0, 1];
        for (int move = 0; move < others.Length; move++)
        {
            guest.Others = others[move];
            guest.Type("xs read device/vbd/51712/backend\n");
            guest.AwaitPrompt(move + 2);
            Assert.EndsWith("/local/domain/0/backend/vbd/1/51712\ndbt> ", guest.Transcript.Text.Replace("\r", "", StringComparison.Ordinal), StringComparison.Ordinal);
            string backend = guest.Store.Read(guest.Host.Home + "/device/vbd/51712/backend")!;
            Assert.Equal(guest.Host.Home + "/device/vbd/51712", guest.Store.Read(backend + "/frontend"));
            Assert.True(guest.Move(EngineKind.Tiered));
        }
    }

    private async Task<string> RunAsync(EngineKind engine, Action<MovingGuest>? move)
    {
        string image = Path.Combine(_folder, $"{engine}.img");
        byte[] content = new byte[100 << 10];
        for (int i = 0; i < content.Length; i++)
        {
            content[i] = (byte)((i >> 9) + (i * 3));
        }

        Encoding.ASCII.GetBytes("sector three").CopyTo(content, 3 * 512);
        File.WriteAllBytes(image, content);
        GuestConfig config = GuestConfigReader.Read(null, [$"disk=['{image},raw,xvda,w']", "memory=48", "vcpus=3", $"extra='run={Script}'"]);
        return await RunAsync(config, engine, move);
    }

    private static async Task<string> RunAsync(GuestConfig config, EngineKind engine, Action<MovingGuest>? move)
    {
        using var guest = new MovingGuest(config, engine);
        var random = new Random(1);
        long end = Environment.TickCount64 + (5 * 60_000);
        while (!guest.Domain.IsStopped)
        {
            await Task.Delay(random.Next(5, 60));
            move?.Invoke(guest);
            Assert.True(Environment.TickCount64 < end, $"it doesn't come to its end\n{HangReport.Capture(guest.Domain)}\n{guest.Transcript.Text}");
        }

        ShutdownReason reason = guest.Domain.Stopped.Result;
        Assert.True(reason == ShutdownReason.Poweroff, $"{reason}: {guest.Domain.CrashReport?.Text}\n{guest.Transcript.Text}");
        return guest.Transcript.Text.Replace("\r", "", StringComparison.Ordinal);
    }
}
