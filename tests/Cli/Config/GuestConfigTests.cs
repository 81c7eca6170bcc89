using Dbt.Cli.Config;
using Dbt.Devices;

namespace Dbt.Tests.Cli.Config;

public sealed class GuestConfigTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-config").FullName;

    public GuestConfigTests()
    {
        foreach (string name in (string[])["kernel", "disk.img", "other.img", "ramdisk.gz"])
        {
            File.WriteAllBytes(Path.Combine(_folder, name), new byte[512]);
        }
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private GuestConfig Read(string text, params string[] overrides)
    {
        string path = Path.Combine(_folder, "guest.cfg");
        File.WriteAllText(path, text);
        return GuestConfigReader.Read(path, overrides);
    }

    private string Error(string text) => Assert.Throws<ConfigException>(() => Read(text)).Message.Replace(_folder + "/", "", StringComparison.Ordinal);

    private string DiskError(string disks) => Error($"kernel='kernel'\ndisk=[{disks}]");

    [Fact]
    public void AnXlFileIsRead()
    {
        GuestConfig config = Read("""
            name = "one"
            type = "pv"
            memory = 64
            maxmem = 128
            vcpus = 2
            kernel = "kernel"
            ramdisk = "ramdisk.gz"
            root = "/dev/xvda1 ro"
            extra = "console=hvc0"
            disk = [ 'disk.img,raw,xvda,w', 'format=raw, vdev=xvdb, access=ro, target=other.img' ]
            on_reboot = "destroy"
            """);
        Assert.Equal(("one", 64, 128, 2), (config.Name, config.MemoryMiB, config.MaxMemoryMiB, config.Vcpus));
        Assert.Equal(Path.Combine(_folder, "kernel"), config.KernelPath);
        Assert.Equal(Path.Combine(_folder, "ramdisk.gz"), config.RamdiskPath);
        Assert.Equal("root=/dev/xvda1 ro console=hvc0", config.CommandLine);
        Assert.Equal([(51712u, false), (51728u, true)], config.Disks.Select(d => (d.Device.Number, d.ReadOnly)));
        Assert.Equal((ShutdownAction.Destroy, ShutdownAction.Destroy), (config.Actions.Reboot, config.Actions.Crash));
        Assert.Empty(config.Warnings);
    }

    [Fact]
    public void WhatIsNotSaidHasItsDefault()
    {
        GuestConfig config = Read("kernel='kernel'");
        Assert.Equal(("guest", 128, 128, 1, ""), (config.Name, config.MemoryMiB, config.MaxMemoryMiB, config.Vcpus, config.CommandLine));
        Assert.Equal((ShutdownAction.Destroy, ShutdownAction.Restart), (config.Actions.Poweroff, config.Actions.Reboot));
        Assert.Equal((250, 0), (config.TickSlack, Read("kernel='kernel'\ntick_slack=0").TickSlack));
    }

    [Fact]
    public void OverridesReplace()
    {
        GuestConfig config = Read("kernel='kernel'\nmemory=32", "memory=48", "cmdline=a b", $"disk=['{_folder}/disk.img,,hda']");
        Assert.Equal((48, "a b", 768u), (config.MemoryMiB, config.CommandLine, config.Disks[0].Device.Number));
    }

    [Fact]
    public void WithoutAFileTheEmbeddedGuestRuns() => Assert.Null(GuestConfigReader.Read(null, ["memory=32"]).KernelPath);

    [Fact]
    public void KeysThatDoNothingAreNamed()
    {
        GuestConfig config = Read("kernel='kernel'\nvif=['']\nvif=[]\npool='x'\nfrobnicate=1\nvfb=['sdl=1']\nserial='pty'");
        Assert.Equal(4, config.Warnings.Count);
        Assert.Contains(config.Warnings, w => w.EndsWith("guest.cfg:4:6: pool means nothing here and has no effect", StringComparison.Ordinal));
        Assert.Contains(config.Warnings, w => w.Contains("unknown key frobnicate", StringComparison.Ordinal));
        Assert.Contains(config.Warnings, w => w.Contains("vfb is not supported yet", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("'disk.img,raw,xvda,w'", 51712, false, false)]
    [InlineData("'disk.img,,xvda1'", 51713, false, false)]
    [InlineData("'file:disk.img,hdc:cdrom,r'", 5632, true, true)]
    [InlineData("'phy:disk.img,sda,w'", 2048, false, false)]
    [InlineData("'tap:aio:disk.img,xvdb,ro'", 51728, true, false)]
    [InlineData("'vdev=hda,format=raw,access=rw,target=disk.img'", 768, false, false)]
    [InlineData("'disk.img,vdev=xvdc,access=r,devtype=cdrom,backendtype=qdisk,discard'", 51744, true, true)]
    [InlineData("'disk.img, raw, hdc, rw, cdrom'", 5632, true, true)]
    public void DisksInAllTheirForms(string disk, uint number, bool readOnly, bool cdrom)
    {
        DiskConfiguration parsed = Assert.Single(Read($"kernel='kernel'\ndisk=[{disk}]").Disks);
        Assert.Equal((number, readOnly, cdrom ? DiskType.Cdrom : DiskType.Disk), (parsed.Device.Number, parsed.ReadOnly, parsed.Type));
        Assert.Equal(Path.Combine(_folder, "disk.img"), parsed.Path);
    }

    [Fact]
    public void DisksHaveSettings()
    {
        DiskConfiguration plain = Assert.Single(Read("kernel='kernel'\ndisk=['disk.img,,xvda,w']").Disks);
        Assert.Equal((null, true, true, false), (plain.SectorSize, plain.Discard, plain.PersistentGrants, plain.IsSurelyRaw));
        DiskConfiguration set = Assert.Single(Read("kernel='kernel'\ndisk=['disk.img,raw,xvda,w,no-discard,sector-size=4096,persistent-grants=0']").Disks);
        Assert.Equal((4096, false, false, true), (set.SectorSize, set.Discard, set.PersistentGrants, set.IsSurelyRaw));
    }

    [Fact]
    public void AnImageOfAnotherFormatIsTold()
    {
        File.WriteAllBytes(Path.Combine(_folder, "q.img"), [(byte)'Q', (byte)'F', (byte)'I', 0xFB, 0, 0, 0, 3, .. new byte[1024]]);
        Assert.Contains("guest.cfg:2:7: disk image", DiskError("'q.img,,xvda,w'"), StringComparison.Ordinal);
        Assert.Contains("is in the format qcow2, and only raw is supported; convert it with: qemu-img", DiskError("'file:q.img,xvda,w'"), StringComparison.Ordinal);
        GuestConfig meant = Read("kernel='kernel'\ndisk=['q.img,raw,xvda,w']");
        Assert.Contains("qcow2", Assert.Single(meant.Warnings), StringComparison.Ordinal);
        Assert.Single(meant.Disks);
    }

    [Theory]
    [InlineData("'disk.img,raw,xvda,w,sector-size=1024'", "guest.cfg:2:7: disk: sector-size=1024 is neither")]
    [InlineData("'disk.img,raw,xvda,w,persistent-grants=yes'", "guest.cfg:2:7: disk: persistent-grants=yes is neither")]
    [InlineData("'missing.img,raw,xvda,w'", "guest.cfg:2:7: disk image missing.img: no such file")]
    [InlineData("'disk.img,raw,xvda,w','other.img,raw,xvda,w'", "guest.cfg:2:29: disk xvda is named twice")]
    [InlineData("'disk.img,raw,xvda,w','./disk.img,raw,xvdb,r'", "guest.cfg:2:29: disk image ./disk.img is named twice, as xvda and xvdb")]
    [InlineData("'disk.img,qcow2,xvda,w'", "guest.cfg:2:7: disk: format qcow2 is not supported")]
    [InlineData("'qcow2:disk.img,xvda,w'", "guest.cfg:2:7: disk: format qcow2 is not supported")]
    [InlineData("'disk.img'", "guest.cfg:2:7: disk: the disk has no vdev")]
    [InlineData("'disk.img,raw,nonsense,w'", "guest.cfg:2:7: disk: 'nonsense' is not a virtual disk")]
    [InlineData("'disk.img,raw,xvda,maybe'", "guest.cfg:2:7: disk: access maybe")]
    [InlineData("'disk.img,raw,xvda,w,more'", "guest.cfg:2:7: disk: 'more' is one setting too many")]
    [InlineData("'disk.img,raw,xvda,w,frob=1'", "guest.cfg:2:7: disk: unknown disk setting frob")]
    [InlineData("'disk.img,raw,xvda,vdev=xvdb'", "guest.cfg:2:7: disk: vdev is given twice")]
    [InlineData("',raw,hdc,r,cdrom'", "guest.cfg:2:7: disk: an empty CD-ROM drive")]
    [InlineData("7", "guest.cfg:2:7: disk: each element must be a string")]
    public void BadDisksAreToldWithTheirPlace(string disks, string expected) => Assert.Contains(expected, DiskError(disks).Replace("././", "./", StringComparison.Ordinal), StringComparison.Ordinal);

    [Fact]
    public void ReadOnlyDisksMayShareAnImage() => Assert.Equal(2, Read("kernel='kernel'\ndisk=['disk.img,raw,xvda,r','disk.img,raw,xvdb,r']").Disks.Count);

    [Theory]
    [InlineData("memory=64", "names no kernel")]
    [InlineData("kernel='nowhere'", "guest.cfg:1:8: kernel nowhere: no such file")]
    [InlineData("kernel='kernel'\nramdisk='nowhere'", "guest.cfg:2:9: ramdisk nowhere: no such file")]
    [InlineData("kernel='kernel'\nmemory=0", "guest.cfg:2:8: memory=0 is outside")]
    [InlineData("kernel='kernel'\nmemory='lots'", "guest.cfg:2:8: memory must be a number")]
    [InlineData("kernel='kernel'\nmemory=99999999999999", "guest.cfg:2:8: memory=99999999999999 is outside")]
    [InlineData("kernel='kernel'\ntick_slack=1001", "guest.cfg:2:12: tick_slack=1001 is outside 0 to 1000")]
    [InlineData("kernel='kernel'\nmemory=64\nmaxmem=32", "guest.cfg:3:8: maxmem=32 is less than memory=64")]
    [InlineData("kernel='kernel'\nvcpus=33", "guest.cfg:2:7: vcpus=33 is outside 1 to 32")]
    [InlineData("kernel='kernel'\nbuilder='hvm'", "guest.cfg:2:9: fully virtualised")]
    [InlineData("kernel='kernel'\ntype='foo'", "guest.cfg:2:6: type=\"foo\" is neither")]
    [InlineData("kernel='kernel'\non_crash='explode'", "guest.cfg:2:10: on_crash=\"explode\" is not one of")]
    [InlineData("kernel='kernel'\ndisk='disk.img,raw,xvda,w'", "guest.cfg:2:6: disk must be a list")]
    [InlineData("kernel='kernel'\nuuid='x'", "guest.cfg:2:6: uuid=\"x\" is not a UUID")]
    [InlineData("kernel='kernel'\nname='a/b'", "guest.cfg:2:6: name=\"a/b\" is not a name")]
    [InlineData("kernel=['kernel']", "guest.cfg:1:8: kernel must be a string")]
    public void BadSettingsAreToldWithTheirPlace(string text, string expected) => Assert.Contains(expected, Error(text), StringComparison.Ordinal);

    [Fact]
    public void AMissingFileIsTold() =>
        Assert.Contains("no such file", Assert.Throws<ConfigException>(() => GuestConfigReader.Read(Path.Combine(_folder, "none.cfg"), [])).Message, StringComparison.Ordinal);

    [Fact]
    public void CmdlineGoesBeforeRootAndExtra()
    {
        GuestConfig config = Read("kernel='kernel'\ncmdline='all of it'\nroot='/dev/xvda'");
        Assert.Equal("all of it", config.CommandLine);
        Assert.Single(config.Warnings);
    }
}
