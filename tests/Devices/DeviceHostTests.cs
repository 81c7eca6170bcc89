using System.Text;
using Dbt.Devices;
using Dbt.Devices.Block;
using Dbt.Devices.Network;
using Dbt.Devices.Store;
using Dbt.Runtime;
using Dbt.Tests.Devices.Network;
using Dbt.Tests.Xen.Memory;
using Dbt.Xen;

namespace Dbt.Tests.Devices;

/// <summary>A real domain's devices: what is in xenstore while they are attached, and that nothing is left behind.</summary>
public sealed class DeviceHostTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-host-").FullName;
    private readonly MemoryFixture _fixture = new();
    private readonly XenStore _store = new();
    private readonly MemoryStream _output = new();

    public DeviceHostTests()
    {
        Domain.ConfiguredKib = (65536, 131072);
        Domain.SharedInfoMfn = _fixture.Page();
        Domain.StoreMfn = _fixture.Pages[10];
        Domain.ConsoleMfn = _fixture.Pages[11];
        Assert.True(Domain.Events.TryAllocateForBackend(out uint store));
        Assert.True(Domain.Events.TryAllocateForBackend(out uint console));
        Domain.StorePort = store;
        Domain.ConsolePort = console;
    }

    private Domain Domain => _fixture.Domain;

    private string Home => $"/local/domain/{Domain.Id}";

    public void Dispose()
    {
        _fixture.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void WritesWhatXlWrites()
    {
        var before = _store.List("/local/domain")!.ToList();
        using (DeviceHost host = Attach(new DiskConfiguration(Image("a.img"), VirtualDevice.Parse("xvda"))))
        {
            Assert.Equal(Home, host.Home);
            Assert.Equal("test", _store.Read(Home + "/name"));
            Assert.Equal($"/vm/{Domain.Uuid}", _store.Read(Home + "/vm"));
            Assert.Equal($"{Domain.Uuid}", _store.Read($"/vm/{Domain.Uuid}/uuid"));
            Assert.Equal($"{Domain.Id}", _store.Read(Home + "/domid"));
            Assert.Equal("65536", _store.Read(Home + "/memory/target"));
            Assert.Equal("131072", _store.Read(Home + "/memory/static-max"));
            Assert.Equal($"{Domain.StorePort}", _store.Read(Home + "/store/port"));
            Assert.Equal($"{Domain.ConsoleMfn}", _store.Read(Home + "/console/ring-ref"));
            Assert.Equal("online", _store.Read(Home + "/cpu/0/availability"));
            Assert.Equal([$"n{Domain.Id}"], _store.GetPermissions(Home + "/control/shutdown")!.Select(static entry => entry.ToString()));
            Assert.Equal(["n0", $"r{Domain.Id}"], _store.GetPermissions(Home)!.Select(static entry => entry.ToString()));
            Assert.Equal("2", _store.Read($"/local/domain/0/backend/vbd/{Domain.Id}/51712/state"));
            Assert.Equal("1", _store.Read(Home + "/device/vbd/51712/state"));
            Assert.True(_store.IsIntroduced(Domain.Id));
            host.RequestShutdown("poweroff");
            Assert.Equal("poweroff", _store.Read(Home + "/control/shutdown"));
        }

        Assert.Equal(before, _store.List("/local/domain"));
        Assert.Empty(_store.List("/vm")!);
        Assert.Empty(_store.List("/libxl")!);
        Assert.Empty(_store.List("/local/domain/0/backend/vbd") ?? []);
        Assert.False(_store.IsIntroduced(Domain.Id));
    }

    [Fact]
    public void ABadDiskLeavesNothingBehind()
    {
        string good = Image("a.img");
        foreach (DiskConfiguration bad in (DiskConfiguration[])[
            new(Path.Combine(_folder, "none.img"), VirtualDevice.Parse("xvdb")),
            new(good, VirtualDevice.Parse("xvdb")),
            new(Image("b.img"), VirtualDevice.Parse("51712"))])
        {
            HostException error = Assert.Throws<HostException>(() => Attach(new DiskConfiguration(good, VirtualDevice.Parse("xvda")), bad));
            Assert.DoesNotContain('\n', error.Message);
            Assert.False(_store.Exists(Home));
            Assert.Empty(_store.List("/local/domain/0/backend/vbd") ?? []);
        }

        // The image's lock and the ports are free again.
        Attach(new DiskConfiguration(good, VirtualDevice.Parse("xvda"))).Dispose();
        Attach().Dispose();
    }

    [Fact]
    public void DisksComeAndGo()
    {
        using DeviceHost host = Attach(new DiskConfiguration(Image("a.img"), VirtualDevice.Parse("xvda")));
        var second = new DiskConfiguration(Image("b.img"), VirtualDevice.Parse("xvdb"));
        host.AttachDisk(second);
        Assert.Equal(["xvda", "xvdb"], host.Disks.Select(static disk => disk.Configuration.Device.Name));
        Assert.Equal((8192ul, 2), (host.Disks[1].Bytes, host.Disks[1].State));
        Assert.Equal("1", _store.Read(Home + "/device/vbd/51728/state"));
        Assert.Contains("xvdb", Assert.Throws<HostException>(() => host.AttachDisk(second)).Message, StringComparison.Ordinal);
        Assert.Contains("xvda, xvdb", Assert.Throws<HostException>(() => host.DetachDisk("xvdc", force: true)).Message, StringComparison.Ordinal);

        // No driver of the guest has it open: it goes at once, by name or number.
        host.DetachDisk("51728", force: false);
        Assert.Equal("xvda", Assert.Single(host.Disks).Configuration.Device.Name);
        Assert.False(_store.Exists(Home + "/device/vbd/51728"));
        host.AttachDisk(second);
        host.DetachDisk("xvdb", force: false);
    }

    [Fact]
    public unsafe void TheRingsAreTheDomainsPages()
    {
        byte* console = Domain.Hypervisor.Machine.Frame(Domain.ConsoleMfn);
        using (Attach())
        {
            "hello"u8.CopyTo(new Span<byte>(console + 1024, 5));
            Volatile.Write(ref *(uint*)(console + 3084), 5);

            // The page stays what it is while the back end writes it: neither given back nor made a page table.
            Assert.Equal(2u, _fixture.TypeCount(Domain.ConsoleMfn));
            Assert.Equal(3u, *(uint*)(Domain.Hypervisor.Machine.Frame(Domain.StoreMfn) + 2064));
        }

        Assert.Equal("hello", Encoding.ASCII.GetString(_output.ToArray()));
        Assert.Equal(1u, _fixture.TypeCount(Domain.ConsoleMfn));
    }

    [Fact]
    public void AStoppedDomainIsTold()
    {
        using DeviceHost host = Attach();
        using var told = new SemaphoreSlim(0);
        using IDisposable watch = _store.Watch("@releaseDomain", _ => told.Release());
        Assert.True(told.Wait(0)); // the first call, at once
        Domain.Shutdown(ShutdownReason.Poweroff);
        Assert.True(told.Wait(TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public void NetworkCardsComeAndGo()
    {
        var cable = new FakeCable();
        var card = new NetworkConfiguration(1, TestFrames.A, () => cable);
        string back = $"/local/domain/0/backend/vif/{Domain.Id}/1";
        using (DeviceHost host = Attach())
        {
            host.AttachNetwork(card);
            Assert.Equal("2", _store.Read(back + "/state"));
            Assert.Equal("00:16:3e:00:00:0a", _store.Read(Home + "/device/vif/1/mac"));
            Assert.Equal([card], host.Networks.Select(static network => network.Card));
            Assert.Contains("already", Assert.Throws<HostException>(() => host.AttachNetwork(card)).Message, StringComparison.Ordinal);
            Assert.Contains("the guest has 1 (00:16:3e:00:00:0a)", Assert.Throws<HostException>(() => host.DetachNetwork("0", false)).Message, StringComparison.Ordinal);
            host.AnnounceNetworks();
            Assert.Single(cable.Frames);

            // No frontend has it, so it goes at once.
            host.DetachNetwork("00:16:3E:00:00:0A", false);
            Assert.True(cable.IsDisposed);
            Assert.Empty(host.Networks);
            Assert.False(_store.Exists(back));
            Assert.Contains("has none", Assert.Throws<HostException>(() => host.DetachNetwork("1", false)).Message, StringComparison.Ordinal);
            host.AttachNetwork(card with { Handle = 0 });
        }

        Assert.Empty(_store.List("/local/domain/0/backend/vif") ?? []);
        Assert.False(_store.Exists(Home));
    }

    private DeviceHost Attach(params DiskConfiguration[] disks) =>
        DeviceHost.Attach(Domain, new DeviceConfiguration { ConsoleOutput = _output, Disks = disks, Store = _store });

    private string Image(string name)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllBytes(path, new byte[8192]);
        return path;
    }
}
