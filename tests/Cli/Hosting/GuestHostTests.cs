using Dbt.Cli;
using Dbt.Cli.Config;
using Dbt.Cli.Consoles;
using Dbt.Cli.Running;
using Dbt.Devices.Store;
using Dbt.Translator;

namespace Dbt.Tests.Cli.Hosting;

/// <summary>Several guests on one machine, in this process: nothing of one that has ended is left.</summary>
public sealed class GuestHostTests : IDisposable
{
    private readonly GuestHost _host = new();
    private readonly StringWriter _errors = new();

    public static TheoryData<EngineKind> Engines => [EngineKind.Interpreter, EngineKind.Quick, EngineKind.Optimized, EngineKind.Tiered];

    public void Dispose() => _host.Dispose();

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task GuestsThatEndedHaveGivenEverythingBack(EngineKind engine)
    {
        uint free = _host.Machine.Machine.FreeFrames;
        int nodes = CountNodes("/");
        for (int round = 0; round < 2; round++)
        {
            // Four side by side: two that end by themselves, one that crashes, one that is destroyed while it runs.
            string[] commands = ["selftest;halt", "mem;halt", "crash triple", "bench all 1000"];
            Guest[] guests = [.. commands.Select((command, i) => Make($"g{i}", engine, $"memory={16 + i}", "vcpus=2", $"extra=run={command}"))];
            Task<int>[] runs = [.. guests.Select(guest => Task.Run(guest.RunAsync))];
            await guests[3].Control.Started.WaitAsync(TimeSpan.FromMinutes(2));
            int[] ends = await Task.WhenAll(runs[..3]).WaitAsync(TimeSpan.FromMinutes(4));
            Assert.Equal(new[] { ExitStatus.Success, ExitStatus.Success, ExitStatus.GuestCrash }, ends);
            Assert.Equal(["g3"], _host.Guests.Select(guest => guest.Name));
            Assert.True(guests[3].Control.Describe().Vcpus.Count == 2);
            guests[3].Leave(7);
            Assert.Equal(7, await runs[3].WaitAsync(TimeSpan.FromMinutes(2)));
            Assert.Empty(_host.Guests);
            Assert.Equal(free, _host.Machine.Machine.FreeFrames);
            Assert.Equal(nodes, CountNodes("/"));
            Assert.Equal(0, Enumerable.Range(1, 8).Count(id => _host.Machine.Find((ushort)id) is not null));
        }

        Assert.Contains("g2 crashed: ", _errors.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task OneThatCannotBeBuiltOrStartedLeavesNothing()
    {
        uint free = _host.Machine.Machine.FreeFrames;
        Assert.Throws<Dbt.Xen.Builder.DomainBuildException>(() => Make("huge", EngineKind.Interpreter, "memory=16384"));
        Assert.Equal((free, 0), (_host.Machine.Machine.FreeFrames, _host.Guests.Count));

        string disk = Path.Combine(Directory.CreateTempSubdirectory("dbt-guest-host").FullName, "d.img");
        File.WriteAllBytes(disk, new byte[64 << 10]);
        Guest guest = Make("gone", EngineKind.Interpreter, "memory=16", $"disk=['{disk},raw,xvda,rw']");
        File.Delete(disk);
        await Assert.ThrowsAsync<Dbt.Runtime.HostException>(guest.RunAsync);
        Assert.Equal((free, 0), (_host.Machine.Machine.FreeFrames, _host.Guests.Count));
        Directory.Delete(Path.GetDirectoryName(disk)!);
    }

    private Guest Make(string name, EngineKind engine, params string[] settings)
    {
        GuestConfig config = GuestConfigReader.Read(null, [$"name={name}", .. settings]);
        var options = new GuestOptions { Engine = engine };
        return new Guest(_host, config, options, GuestImage.Load(config, options, _host.Files), new GuestConsole(), TextWriter.Synchronized(_errors), _ => { });
    }

    private int CountNodes(string path) =>
        1 + _host.Store.List(path)!.Sum(name => CountNodes(StorePath.Child(path, name)));
}
