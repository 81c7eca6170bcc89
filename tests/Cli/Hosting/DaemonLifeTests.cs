using Dbt.Translator;

namespace Dbt.Tests.Cli.Hosting;

/// <summary>What becomes of guests in the daemon: crashes beside others, reboots, what their configuration says is to follow.</summary>
public sealed class DaemonLifeTests : IDisposable
{
    private readonly DaemonFolder _daemon = new();

    public static TheoryData<EngineKind> Engines => [EngineKind.Interpreter, EngineKind.Quick, EngineKind.Optimized, EngineKind.Tiered];

    public void Dispose() => _daemon.Dispose();

    [Theory]
    [MemberData(nameof(Engines))]
    public void ACrashEndsThatDomainAloneAndAnotherGoesOn(EngineKind engine)
    {
        string word = engine.ToString().ToLowerInvariant();
        _daemon.Do("create", "--engine", word, "name=good", "memory=16");
        using DaemonFolder.RunningCommand good = _daemon.Start("console", "good");
        good.Await("dbt> ");
        foreach (string how in (string[])["ud2", "triple", "panic", "pagefault"])
        {
            _daemon.Do("create", "--engine", word, $"name=bad-{how}", "memory=16");
            using DaemonFolder.RunningCommand bad = _daemon.Start("console", $"bad-{how}");
            bad.Await("dbt> ");
            bad.Type($"crash {how}\n");
            Assert.Equal(0, bad.End());
            DaemonFolder.Await(() => _daemon.Log.Contains($"bad-{how} has ended", StringComparison.Ordinal), () => _daemon.Log);
            good.Type($"echo alive after {how}\n");
            good.Await($"\nalive after {how}");
        }

        Assert.Equal(["good"], _daemon.List().Select(row => row.Name));
        Assert.Contains("bad-ud2 crashed: ", _daemon.Log, StringComparison.Ordinal);
        Assert.Contains("EIP ", _daemon.Log, StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", _daemon.Log, StringComparison.Ordinal);

        // Xen's own tests of what a guest may do, beside another that idles.
        good.Type("selftest\n");
        good.Await(" ok, 0 failed");
        good.Type("halt\n");
        Assert.Equal(0, good.End());
    }

    [Fact]
    public void ARebootGivesANewDomainAndTheConsoleStays()
    {
        _daemon.Do("create", "name=x", "memory=16", "uuid=11111111-2222-3333-4444-555555555555");
        using DaemonFolder.RunningCommand console = _daemon.Start("console", "x");
        console.Await("dbt> ");
        console.Type("reboot\n");
        console.Await("dbt> ", times: 2);
        Assert.Equal("2\n", _daemon.Do("domid", "x"));
        Assert.Contains("11111111-2222-3333-4444-555555555555  2    x", _daemon.Do("vm-list"), StringComparison.Ordinal);
        console.Type("xs read domid\n");
        console.Await("\n2");
        Assert.Equal("Rebooting domain 2\n", _daemon.Do("reboot", "x"));
        console.Type("xs read control/shutdown\n");
        console.Await("\nreboot");

        // Asked for, and waited for.
        Assert.Equal("Shutting down domain 2\n", _daemon.Do("shutdown", "x"));
        console.Type("xs read control/shutdown\n");
        console.Await("\npoweroff");
        using DaemonFolder.RunningCommand wait = _daemon.Start("shutdown", "-w", "x");
        wait.Await("Waiting for 1 domains");
        console.Type("halt\n");
        Assert.Equal((0, 0), (wait.End(), console.End()));
        Assert.Empty(_daemon.List());
    }

    [Fact]
    public void WhatFollowsIsWhatTheConfigurationSays()
    {
        _daemon.Do("create", "name=kept", "memory=16", "on_crash=preserve", "extra=run=crash ud2");
        DaemonFolder.Await(() => _daemon.List() is [("kept", "---sc-")], () => _daemon.Do("list"));
        using (DaemonFolder.RunningCommand console = _daemon.Start("console", "kept"))
        {
            console.Await("a 32-bit PAE Xen");
        }

        Assert.Equal("", _daemon.Do("destroy", "kept"));

        _daemon.Do("create", "name=again", "memory=16", "on_poweroff=restart");
        using (DaemonFolder.RunningCommand console = _daemon.Start("console", "again"))
        {
            console.Await("dbt> ");
            console.Type("halt\n");
            console.Await("dbt> ", times: 2);
        }

        Assert.Equal("", _daemon.Do("destroy", "again"));

        string disk = Path.Combine(_daemon.Path, "d.img");
        File.WriteAllBytes(disk, new byte[64 << 10]);
        _daemon.Do("create", "name=twice", "memory=16", "on_reboot=rename-restart", "disk=['d.img,raw,xvda,rw']", "uuid=11111111-2222-3333-4444-555555555555");
        using (DaemonFolder.RunningCommand console = _daemon.Start("console", "twice"))
        {
            console.Await("dbt> ");
            console.Type("reboot\n");
            console.Await("dbt> ", times: 2);
            console.Type("disk write 1 hello\n");
            console.Await("disk: write of sector 1: status 0");
        }

        List<(string Name, string State)> rows = _daemon.List();
        Assert.Equal(2, rows.Count);
        Assert.Equal("twice", rows[0].Name);
        Assert.Matches(@"^twice-\d{8}T\d{4}Z$", rows[1].Name);
        Assert.Equal("---sr-", rows[1].State);
        using (DaemonFolder.RunningCommand console = _daemon.Start("console", rows[1].Name))
        {
            console.Await("dbt> reboot");
        }

        Assert.Equal("", _daemon.Do("destroy", rows[1].Name));
        Assert.Equal(["twice"], _daemon.List().Select(row => row.Name));
    }

    [Fact]
    public void EachDomainSeesItsOwnPartOfOneStore()
    {
        _daemon.Do("create", "name=a", "memory=16");
        _daemon.Do("create", "name=b", "memory=16");
        using DaemonFolder.RunningCommand a = _daemon.Start("console", "a"), b = _daemon.Start("console", "b");
        a.Await("dbt> ");
        b.Await("dbt> ");
        a.Type("xs write data/note mine\n");
        a.Await("dbt> ", times: 2);
        b.Type("xs read data/note\n");
        b.Await("ENOENT");
        b.Type("xs read /local/domain/1/data/note\n");
        b.Await("EACCES");
        b.Type("xs write /local/domain/1/data/note yours\n");
        b.Await("refused");
        a.Type("xs read data/note\n");
        a.Await("\nmine");
        b.Type("xs read name\n");
        b.Await("\nb");
    }

    [Fact]
    public void AProfileIsOfOneGuestOfTheDaemon()
    {
        _daemon.Do("create", "name=busy", "memory=16");
        _daemon.Do("create", "name=idle", "memory=16");
        using DaemonFolder.RunningCommand console = _daemon.Start("console", "busy");
        console.Await("dbt> ");
        console.Type("bench sum 100000000\n");
        _daemon.Do("rename", "busy", "hot");
        Assert.Matches(@" % +sum +kernel", _daemon.Do("profile", "hot", "--seconds", "3"));
        string idle = _daemon.Do("profile", "idle", "--seconds", "1");
        Assert.StartsWith("idle (process ", idle.TrimStart(), StringComparison.Ordinal);
        Assert.DoesNotMatch(@" % +sum +kernel", idle);
    }

    [Fact]
    public void GuestsWithTheSameKernelTakeOverWhatOneOfThemHadCompiled()
    {
        long compiled = Compiled("first", out long takenOver);
        Assert.True(compiled > 0 && takenOver == 0, $"{compiled} compiled, {takenOver} taken over");
        compiled = Compiled("second", out takenOver);
        Assert.True(takenOver > 0, $"{compiled} compiled, nothing was taken over");

        // One that wants none of it.
        Assert.True(Compiled("third", out takenOver, "--no-code-cache") > 0 && takenOver == 0, $"{takenOver} taken over");
    }

    private long Compiled(string name, out long takenOver, params string[] options)
    {
        _daemon.Do(["create", $"name={name}", "memory=16", "extra=run=bench all 40", .. options]);
        using (DaemonFolder.RunningCommand console = _daemon.Start("console", name))
        {
            console.Await("dbt> ");
        }

        using var json = System.Text.Json.JsonDocument.Parse(_daemon.Do("stats", name));
        takenOver = json.RootElement.GetProperty("regionsTakenOver").GetInt64();
        return json.RootElement.GetProperty("regionsCompiled").GetInt64();
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void TwoDomainsExchangeDataOnASharedRing(EngineKind engine)
    {
        string word = engine.ToString().ToLowerInvariant();
        _daemon.Do("create", "--engine", word, "name=giver", "memory=16", "vcpus=2");
        _daemon.Do("create", "--engine", word, "name=taker", "memory=16");
        using DaemonFolder.RunningCommand giver = _daemon.Start("console", "giver"), taker = _daemon.Start("console", "taker");
        giver.Await("dbt> ");
        taker.Await("dbt> ");
        taker.Type($"pair join 1 {Offer(giver, 1)} 5000\n");
        taker.Await("pair: unmapped 0 0");
        giver.Await("pair: pages free");
        string sum = Sum(taker.Text, "asked 5000, sum ([0-9a-f]{8}), 0 wrong, signals came, status right, copy right");
        Assert.Equal(sum, Sum(giver.Text, "answered 5000, sum ([0-9a-f]{8}), signals came, other end done"));

        // One that crashes with the page mapped and the port bound: both come back.
        taker.Type($"pair join 1 {Offer(giver, 2)} 300 keep\n");
        taker.Await("pair: asked 300, ");
        giver.Await("pair: answered 300, ");
        taker.Type("crash ud2\n");
        Assert.Equal(0, taker.End());
        giver.Await("pair: pages free", times: 2);

        // Nobody else may use what was offered to one.
        _daemon.Do("create", "--engine", word, "name=other", "memory=16");
        using DaemonFolder.RunningCommand other = _daemon.Start("console", "other");
        other.Await("dbt> ");
        string offered = Offer(giver, 3);
        other.Type($"pair join 1 {offered} 10\n");
        other.Await("pair: not mapped: 0 -1");
    }

    private static string Offer(DaemonFolder.RunningCommand giver, int times)
    {
        giver.Type("pair offer 2\n");
        giver.Await("pair: join with ", times);
        DaemonFolder.Await(() => giver.Text[giver.Text.LastIndexOf("pair: join with ", StringComparison.Ordinal)..].Contains('\n', StringComparison.Ordinal), () => giver.Text);
        string words = giver.Text[(giver.Text.LastIndexOf("pair: join with ", StringComparison.Ordinal) + "pair: join with ".Length)..];
        return words[..words.IndexOf('\n', StringComparison.Ordinal)].TrimEnd();
    }

    private static string Sum(string text, string pattern)
    {
        System.Text.RegularExpressions.Match match = System.Text.RegularExpressions.Regex.Match(text, pattern);
        Assert.True(match.Success, text);
        return match.Groups[1].Value;
    }
}
