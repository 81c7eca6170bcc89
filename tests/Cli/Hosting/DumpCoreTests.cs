using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Dbt.Tests.Xen.Builder;
using Dbt.Tests.Xen.Cores;
using Dbt.Translator;

namespace Dbt.Tests.Cli.Hosting;

/// <summary><c>dbt dump-core</c> and <c>on_crash="coredump-..."</c>, of our own guest in a daemon.</summary>
[System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
public sealed partial class DumpCoreTests : IDisposable
{
    private const uint KernelBase = 0xC0000000;

    private readonly DaemonFolder _daemon = new();

    private string Dumps => Path.Combine(_daemon.Path, "dbt", "dump");

    public static TheoryData<EngineKind> Engines => [EngineKind.Interpreter, EngineKind.Quick, EngineKind.Optimized, EngineKind.Tiered];

    public void Dispose() => _daemon.Dispose();

    [Fact]
    public void AGuestIsDumpedAndGoesOn()
    {
        string path = Path.Combine(_daemon.Path, "own.core");
        _daemon.Do("create", "name=own", "memory=16", "vcpus=3");
        using DaemonFolder.RunningCommand console = _daemon.Start("console", "own");
        console.Await("dbt> ");
        console.Type("selftest processors\n");
        console.Await("dbt> ", times: 2);
        Assert.Equal($"Dumping core of own to {path}\n", _daemon.Do("dump-core", "own", path));
        var core = new CoreReader(File.ReadAllBytes(path));
        Assert.Equal(0xF00FEBEDul, core.Magic);
        Assert.InRange(core.Vcpus, 2, 3);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        console.Type("echo still here\n");
        console.Await("\nstill here");
        Assert.Contains($"its core was written to {path}", _daemon.Do("dmesg", "own"), StringComparison.Ordinal);

        // Without a name it goes where the others go; while it runs, and while it is paused.
        string said = _daemon.Do("dump-core", "--live", "own");
        string file = Assert.Single(Directory.GetFiles(Dumps));
        Assert.Equal($"Dumping core of own to {file}\n", said);
        Assert.Equal(core.PageCount, new CoreReader(File.ReadAllBytes(file)).PageCount);
        _daemon.Do("pause", "own");
        _daemon.Do("dump-core", "own", path);
        Assert.Equal([("own", "--p---")], _daemon.List());
        _daemon.Do("unpause", "own");
        console.Type("echo here again\n");
        console.Await("\nhere again");
    }

    [Fact]
    public void WhatCannotBeIsTold()
    {
        _daemon.Do("create", "name=own", "memory=16");
        Assert.Contains("can't be written", _daemon.Refused("dump-core", "own", Path.Combine(_daemon.Path, "none", "x")), StringComparison.Ordinal);
        Assert.Contains("it is a folder", _daemon.Refused("dump-core", "own", _daemon.Path), StringComparison.Ordinal);
        Assert.Contains("exclude each other", _daemon.Refused("dump-core", "--crash", "--reset", "own", "x"), StringComparison.Ordinal);
        Assert.Contains("invalid domain identifier", _daemon.Refused("dump-core", "nobody", "x"), StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_daemon.Path, "*.tmp"));
        Assert.Single(_daemon.List());
    }

    [RequiresToolFact("readelf")]
    public void ReadelfUnderstandsIt()
    {
        string path = Path.Combine(_daemon.Path, "own.core");
        _daemon.Do("create", "-p", "name=own", "memory=16");
        _daemon.Do("dump-core", "own", path);
        (int status, byte[] output) = Tool.Run("readelf", $"-h -S -W {path}", []);
        string text = Encoding.UTF8.GetString(output);
        Assert.Equal(0, status);
        Assert.Matches(@"Type:\s+CORE \(Core file\)", text);
        Assert.Matches(@"Machine:\s+Intel 80386", text);
        Assert.Matches(@"\.xen_pages\s+PROGBITS\s+0+ 00\d000 ", text);
        Assert.DoesNotContain("arning", text, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void ACrashLeavesACoreWithWhereItWas(EngineKind engine)
    {
        _daemon.Do("create", "--engine", engine.ToString().ToLowerInvariant(), "name=own", "memory=16", "on_crash=coredump-destroy", "extra='run=crash ud2'");
        DaemonFolder.Await(() => _daemon.Log.Contains("own has ended", StringComparison.Ordinal), () => _daemon.Log);
        string file = Assert.Single(Directory.GetFiles(Dumps));
        Assert.Matches(@"^own-\d{8}T\d{6}Z\.core$", Path.GetFileName(file));
        Assert.Contains($"own: its core is written to {file}", _daemon.Log, StringComparison.Ordinal);
        Assert.Contains("own: its core is whole", _daemon.Log, StringComparison.Ordinal);
        var core = new CoreReader(File.ReadAllBytes(file));
        uint eip = core.Eip(0);
        Assert.Equal(uint.Parse(CrashedAt().Match(_daemon.Log).Groups[1].Value, NumberStyles.HexNumber, CultureInfo.InvariantCulture), eip);

        // UD2, in the kernel's memory as the core has it.
        Assert.Equal([0x0F, 0x0B], core.PageOf((eip - KernelBase) >> 12).Slice((int)(eip & 0xFFF), 2).ToArray());
        Assert.Empty(_daemon.List());
    }

    [Fact]
    public void AGuestStartsAnewBehindItsCore()
    {
        _daemon.Do("create", "name=own", "memory=16", "on_crash=coredump-restart");
        using DaemonFolder.RunningCommand console = _daemon.Start("console", "own");
        console.Await("dbt> ");
        console.Type("crash wildptr\n");
        console.Await("dbt> ", times: 2);
        string file = Assert.Single(Directory.GetFiles(Dumps));
        Assert.Equal(0xDEADBEEF, new CoreReader(File.ReadAllBytes(file)).Eip(0));
        Assert.Contains($"the core of what it was before is {file}", _daemon.Do("dmesg", "own"), StringComparison.Ordinal);

        // Enough is enough: the sixth is not written, and the guest goes on all the same.
        for (int i = 0; i < 4; i++)
        {
            File.Copy(file, Path.Combine(Dumps, $"own-20200101T00000{i}Z.core"));
        }

        console.Type("crash wildptr\n");
        console.Await("dbt> ", times: 3);
        Assert.Equal(5, Directory.GetFiles(Dumps).Length);
        Assert.Contains("own: its core can't be written", _daemon.Log, StringComparison.Ordinal);
        console.Type("halt\n");
        Assert.Equal(0, console.End());
    }

    [Fact]
    public void ItMayBeCrashedOrResetBehindIt()
    {
        string path = Path.Combine(_daemon.Path, "own.core");
        _daemon.Do("create", "name=own", "memory=16", "on_crash=preserve");
        using DaemonFolder.RunningCommand console = _daemon.Start("console", "own");
        console.Await("dbt> ");
        _daemon.Do("dump-core", "--reset", "own", path);
        console.Await("dbt> ", times: 2);
        _daemon.Do("dump-core", "--crash", "own", path);
        DaemonFolder.Await(() => _daemon.List() is [("own", "---sc-")], () => _daemon.Log);

        // What is kept can be dumped too.
        _daemon.Do("dump-core", "own", path);
        Assert.Equal(1, new CoreReader(File.ReadAllBytes(path)).Vcpus);
    }

    [GeneratedRegex(@"EIP ([0-9a-f]{8})")]
    private static partial Regex CrashedAt();
}
