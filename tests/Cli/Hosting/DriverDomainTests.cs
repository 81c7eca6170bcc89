using System.Globalization;
using Dbt.Translator;

namespace Dbt.Tests.Cli.Hosting;

/// <summary>
/// A driver domain: one of our guests serves a disk to another one, whose ring it maps and whose pages it copies by grants. The toolstack's part is what
/// <c>disk=[..., backend=NAME]</c> and <c>block-attach</c> write into xenstore.
/// </summary>
public sealed class DriverDomainTests : IDisposable
{
    private readonly DaemonFolder _daemon = new();

    public static TheoryData<EngineKind> Engines => [EngineKind.Interpreter, EngineKind.Quick, EngineKind.Optimized, EngineKind.Tiered];

    public void Dispose() => _daemon.Dispose();

    [Theory]
    [MemberData(nameof(Engines))]
    public void OneGuestServesADiskToAnother(EngineKind engine)
    {
        string word = engine.ToString().ToLowerInvariant();
        _daemon.Do("create", "--engine", word, "name=storage", "memory=16", "extra=fifo");
        using DaemonFolder.RunningCommand storage = _daemon.Start("console", "storage");
        storage.Await("dbt> ");
        storage.Type("serve 2\n");
        storage.Await("serve: waiting");

        _daemon.Do("create", "--engine", word, "name=user", "memory=16", "disk=['ram:48,raw,xvda,rw,backend=storage']");
        using DaemonFolder.RunningCommand user = _daemon.Start("console", "user");
        user.Await("dbt> ");
        Assert.Contains("disk: xvda, 48 sectors; the first 4 KiB: status 0", user.Text, StringComparison.Ordinal);
        storage.Await("serve: domain 2 disk 51712 connected, 48 sectors");
        user.Type("disk write 3 written\ndisk read 3\ndisk write 48 beyond\ndisk sum\n");
        user.Await("77 72 69 74 74 65 6e");
        user.Await("disk: write of sector 48: status -1");
        user.Await("disk: 48 sectors, status 0, checksum ");

        string[] row = _daemon.Do("block-list", "user").TrimEnd().Split('\n')[1].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(["51712", "1", "51712", "4"], row[..4]);
        Assert.Equal("/local/domain/1/backend/vbd/2/51712", row[^1]);
        Assert.Equal("connected\n", _daemon.Do("xenstore-read", "/local/domain/1/backend/vbd/2/51712/hotplug-status"));
        Assert.Contains("  (n1,r2)", _daemon.Do("xenstore-ls", "-p", "/local/domain/1/backend/vbd/2"), StringComparison.Ordinal);
        Assert.Contains("  (n2,r1)", _daemon.Do("xenstore-ls", "-p", "/local/domain/2/device/vbd"), StringComparison.Ordinal);

        // Closed by its user, it can be detached.
        user.Type("disk close\n");
        user.Await("disk: closed");
        storage.Await("serve: domain 2 disk 51712 closed, ");
        Assert.Equal("", _daemon.Do("block-detach", "user", "xvda"));
        Assert.Single(_daemon.Do("block-list", "user").TrimEnd().Split('\n'));

        // One that ends with the disk in use: its ring and grants are let go.
        _daemon.Do("create", "--engine", word, "name=other", "memory=16", "disk=['whatever,raw,xvdb,ro,backend=1']", "extra=fifo run=disk write 1 refused;crash ud2");
        storage.Await("serve: domain 3 disk 51728 connected, 64 sectors");
        storage.Await("serve: domain 3 disk 51728 closed, 8 sectors read, 0 written");
        storage.Await("dbt> ", times: 2);
        DaemonFolder.Await(() => _daemon.List().Count == 2, () => string.Join(' ', _daemon.List()));
    }

    [Fact]
    public void ADriverDomainMayServeItsOwnDiskAndMayDie()
    {
        string image = Path.Combine(_daemon.Path, "own.img");
        byte[] content = new byte[24 * 512];
        "sector five"u8.CopyTo(content.AsSpan(5 * 512));
        File.WriteAllBytes(image, content);
        _daemon.Do("create", "name=storage", "memory=16", $"disk=['{image},raw,xvda,rw']");
        using DaemonFolder.RunningCommand storage = _daemon.Start("console", "storage");
        storage.Await("dbt> ");
        storage.Type("serve\n");
        storage.Await("serve: waiting");
        _daemon.Do("create", "name=user", "memory=16");
        using DaemonFolder.RunningCommand user = _daemon.Start("console", "user");
        user.Await("dbt> ");
        _daemon.Do("destroy", "user");

        _daemon.Do("create", "name=user", "memory=16", "disk=['disk,raw,xvda,rw,backend=storage']");
        using DaemonFolder.RunningCommand again = _daemon.Start("console", "user");
        again.Await("dbt> ");
        again.Type("disk read 5\n");
        again.Await("sector five");
        again.Type("disk write 6 through\n");
        again.Await("disk: write of sector 6: status 0");

        // Where the driver domain is gone its user is told that the disk is closed, once, and lives on without.
        string id = _daemon.Do("domid", "user").Trim(), back = $"/local/domain/1/backend/vbd/{id}/51712";
        _daemon.Do("destroy", "storage");
        Assert.Equal("through"u8.ToArray(), File.ReadAllBytes(image)[(6 * 512)..((6 * 512) + 7)]);
        DaemonFolder.Await(() => _daemon.Run("xenstore-read", back + "/state").Output == "6\n", () => _daemon.Log);
        Assert.Equal("0\n", _daemon.Do("xenstore-read", back + "/online"));
        Assert.Equal($"dbt: backend=1: there is no such domain here\n", _daemon.Refused("block-attach", "user", "x,raw,xvdb,rw,backend=1"));
        again.Type("disk read 5\n");
        again.Await("disk: sector 5: status -2");

        // It has closed the disk itself then: nothing is left of either end.
        DaemonFolder.Await(() => _daemon.Do("block-list", "user").TrimEnd().Split('\n').Length == 1, () => _daemon.Do("block-list", "user"));
        Assert.Equal((1, 1), (_daemon.Run("xenstore-exists", "/local/domain/1").Status, _daemon.Run("xenstore-exists", $"/local/domain/{id}/device/vbd/51712").Status));
        Assert.Single(_daemon.Do("dmesg", "user").Split('\n'), static line =>
            line == "domain 1, which served disk xvda, has ended: disk xvda is closed, and goes when the guest has let go of it");
        again.Type("echo still here\n");
        again.Await("\nstill here");
        _daemon.Do("destroy", "user");
    }

    [Fact]
    public void ADriverDomainThatIsKeptAfterItsEndServesNobodyEither()
    {
        _daemon.Do("create", "name=storage", "memory=16", "on_crash=preserve", "extra=run=serve 1;crash ud2");
        _daemon.Do("create", "name=user", "memory=16", "disk=['ram:8,raw,xvda,rw,backend=storage']");
        _daemon.Do("create", "name=second", "memory=16", "disk=['ram:8,raw,xvda,rw,backend=storage']");
        using DaemonFolder.RunningCommand user = _daemon.Start("console", "user"), second = _daemon.Start("console", "second");
        user.Await("dbt> ");
        second.Await("dbt> ");

        // The end of the one's disk lets it crash, and the other's back end is closed in its place. A user that does nothing about it can be rid of the disk.
        user.Type("disk close\n");
        DaemonFolder.Await(() => _daemon.List().Contains(("storage", "---sc-")), () => string.Join(' ', _daemon.List()));
        DaemonFolder.Await(() => _daemon.Run("xenstore-read", "/local/domain/1/backend/vbd/3/51712/state").Output == "6\n", () => _daemon.Log);
        Assert.Equal("", _daemon.Do("block-detach", "second", "xvda"));
        _daemon.Do("destroy", "storage");
        DaemonFolder.Await(() => _daemon.Run("xenstore-exists", "/local/domain/1").Status == 1, () => _daemon.Log);
        second.Type("echo still here\n");
        second.Await("\nstill here");
    }

    [Fact]
    public void WhatMakesNoSenseIsRefused()
    {
        Assert.Equal("dbt: backend=nobody: there is no such domain here\n", _daemon.Refused("create", "name=a", "memory=16", "disk=['x,raw,xvda,rw,backend=nobody']"));
        _daemon.Do("create", "name=a", "memory=16", "extra=quiet");
        string id = _daemon.Do("domid", "a").Trim();
        Assert.Equal("dbt: backend=a: a guest can't serve its own devices\n", _daemon.Refused("block-attach", "a", "x,raw,xvdb,rw,backend=a"));
        Assert.Equal($"dbt: backend={int.Parse(id, CultureInfo.InvariantCulture) + 1}: there is no such domain here\n", _daemon.Refused("block-attach", "a", $"x,raw,xvdb,rw,backend={int.Parse(id, CultureInfo.InvariantCulture) + 1}"));
        Assert.Equal((0, 1), (_daemon.Run("list").Status, _daemon.Run("xenstore-exists", $"/local/domain/{id}/device/vbd").Status));
    }
}
