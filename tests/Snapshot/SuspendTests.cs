using System.Globalization;
using Dbt.Cli.Config;
using Dbt.Translator;
using Dbt.Xen.Snapshot;

namespace Dbt.Tests.Snapshot;

/// <summary>Our own guest (PV) is asked to suspend itself, and goes on where it was, or in other machine frames in another hypervisor.</summary>
public sealed unsafe class SuspendTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-suspend").FullName;

    public static TheoryData<EngineKind> Engines => [EngineKind.Interpreter, EngineKind.Quick, EngineKind.Optimized, EngineKind.Tiered];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(Engines))]
    public void GoesOnInOtherFrames(EngineKind engine)
    {
        using MovingGuest guest = Start("run=selftest vcpu_op;selftest processors;disk write 3 before;poke 0xC0000ffc 4711", engine);
        guest.AwaitPrompt(5);
        EngineKind[] next = [EngineKind.Tiered, engine, EngineKind.Interpreter];
        for (int i = 0; i < next.Length; i++)
        {
            guest.MoveSuspended(next[i], taken: 3000 * (i + 1));
        }

        // The second processor has run all the time; its test of suspending takes it down.
        guest.Type("suspend\ndisk read 3\npeek 0xC0000ffc\nselftest processors\nselftest suspend\nselftest\nselftest\nuser\nhalt\n");
        guest.AwaitPoweroff();
        string said = guest.Transcript.Text.Replace("\r", "", StringComparison.Ordinal);
        Assert.Contains("suspend: resumed 3 times, cancelled 0 times\n", said, StringComparison.Ordinal);
        Assert.Contains("  before.", said, StringComparison.Ordinal);
        Assert.Contains("c0000ffc: 00001267\n", said, StringComparison.Ordinal);
        Assert.DoesNotContain("FAIL", said, StringComparison.Ordinal);
        Assert.Equal(6, said.Split(" ok, 0 failed\n").Length - 1);
        Assert.Contains("user: exit code 1b79ecb1", said, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void GoesOnWhereItWasWhenThatIsCancelled(EngineKind engine)
    {
        using MovingGuest guest = Start("run=selftest vcpu_op;disk write 3 before", engine);
        guest.AwaitPrompt(3);
        _ = guest.Save(ImageKind.Suspended);
        _ = guest.Save(ImageKind.Suspended);
        guest.Type("suspend\ndisk read 3\nselftest\nuser\nhalt\n");
        guest.AwaitPoweroff();
        string said = guest.Transcript.Text.Replace("\r", "", StringComparison.Ordinal);
        Assert.Contains("suspend: resumed 0 times, cancelled 2 times\n", said, StringComparison.Ordinal);
        Assert.Contains("  before.", said, StringComparison.Ordinal);
        Assert.Equal(2, said.Split(" ok, 0 failed\n").Length - 1);
        Assert.DoesNotContain("FAIL", said, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(EngineKind.Interpreter)]
    [InlineData(EngineKind.Tiered)]
    public void GoesOnByQueues(EngineKind engine)
    {
        using MovingGuest guest = Start("fifo run=disk sum", engine);
        guest.AwaitPrompt(2);
        guest.MoveSuspended(engine, taken: 5000);
        _ = guest.Save(ImageKind.Suspended);
        guest.MoveSuspended(engine, taken: 50);
        guest.Type("suspend\nselftest\nhalt\n");
        guest.AwaitPoweroff();
        string said = guest.Transcript.Text;
        Assert.Contains("suspend: resumed 2 times, cancelled 1 times", said, StringComparison.Ordinal);
        Assert.Contains(" ok, 0 failed", said, StringComparison.Ordinal);
    }

    /// <summary>What it says of itself when it suspends is nonsense: it can't be made again, goes on, and can be moved when it says the truth.</summary>
    [Fact]
    public void NonsenseAboutItselfIsRefused()
    {
        using MovingGuest guest = Start("run=disk sum", EngineKind.Tiered);
        guest.AwaitPrompt(2);
        int asked = 2;
        uint table = guest.Domain.Vcpus[0].State->Cr3 >> 12;
        foreach (uint frame in (uint[])[table, guest.Domain.SharedInfoMfn, 0xFFFFFFFF, 0x80000000, guest.Domain.Hypervisor.Machine.FrameCount, 0x3FFFFF])
        {
            guest.Type(string.Create(CultureInfo.InvariantCulture, $"suspend {frame}\n"));
            guest.AwaitPrompt(++asked);
            Assert.Contains("can have none", Assert.Throws<SnapshotException>(() => guest.Save(ImageKind.Suspended)).Message, StringComparison.Ordinal);
        }

        guest.MoveSuspended(EngineKind.Tiered, taken: 100);
        guest.Type("suspend\nselftest\nhalt\n");
        guest.AwaitPoweroff();
        Assert.Contains("suspend: resumed 1 times, cancelled 6 times", guest.Transcript.Text, StringComparison.Ordinal);
        Assert.Contains(" ok, 0 failed", guest.Transcript.Text, StringComparison.Ordinal);
    }

    private MovingGuest Start(string extra, EngineKind engine)
    {
        string image = Path.Combine(_folder, "a.img");
        File.WriteAllBytes(image, new byte[64 << 10]);
        return new MovingGuest(GuestConfigReader.Read(null, [$"disk=['{image},raw,xvda,w']", "memory=24", "vcpus=3", $"extra='{extra}'"]), engine);
    }
}
