using System.Globalization;
using System.Text.Json;

namespace Dbt.Tests.Cli.Hosting;

/// <summary>Guests in the background by the commands that drive them, in xl's formats.</summary>
public sealed class DaemonCommandTests : IDisposable
{
    private readonly DaemonFolder _daemon = new();

    public void Dispose() => _daemon.Dispose();

    [Fact]
    public void GuestsAreMadeListedChangedAndDestroyed()
    {
        File.WriteAllText(Path.Combine(_daemon.Path, "kernel"), "");
        Assert.Equal("", _daemon.Do("create", "name=alpha", "memory=32", "maxmem=64", "uuid=11111111-2222-3333-4444-555555555555", "extra=quiet run=mem"));
        Assert.Equal("", _daemon.Do("create", "-p", "name=beta", "memory=16", "vcpus=2", "on_crash=preserve"));

        string[] rows = _daemon.Do("list").TrimEnd().Split('\n');
        Assert.Equal("Name                                        ID   Mem VCPUs\tState\tTime(s)", rows[0]);
        Assert.StartsWith("alpha                                        1    32     1     ", rows[1], StringComparison.Ordinal);
        Assert.StartsWith("beta                                         2    16     1     --p---  ", rows[2], StringComparison.Ordinal);
        Assert.Equal(3, rows.Length);
        Assert.Equal(rows[2], _daemon.Do("list", "beta").TrimEnd().Split('\n')[1]);
        Assert.Matches(@"^beta +2 +16 .* [0-9a-f-]{36}        -                -$", _daemon.Do("list", "-v", "2").TrimEnd().Split('\n')[1]);

        Assert.Equal("1\n", _daemon.Do("domid", "alpha"));
        Assert.Equal("beta\n", _daemon.Do("domname", "2"));
        Assert.Equal("UUID                                  ID    name\n11111111-2222-3333-4444-555555555555  1    alpha                         \n", _daemon.Do("vm-list", "alpha"));
        string[] processors = _daemon.Do("vcpu-list", "beta").TrimEnd().Split('\n');
        Assert.Equal("Name                                ID  VCPU   CPU State   Time(s) Affinity (Hard / Soft)", processors[0]);
        Assert.StartsWith("beta                                 2     0     -   --p ", processors[1], StringComparison.Ordinal);
        Assert.Matches(@"^Name +ID Uptime\nalpha +1  0:0\d:\d\d\nbeta +2  0:0\d:\d\d\n$", _daemon.Do("uptime"));

        using (var json = JsonDocument.Parse(_daemon.Do("list", "-l")))
        {
            JsonElement first = json.RootElement[0], config = first.GetProperty("config");
            Assert.Equal((2, 1, "alpha", "pv"), (json.RootElement.GetArrayLength(), first.GetProperty("domid").GetInt32(),
                config.GetProperty("c_info").GetProperty("name").GetString(), config.GetProperty("c_info").GetProperty("type").GetString()));
            Assert.Equal((65536, 32768, "quiet run=mem"), (config.GetProperty("b_info").GetProperty("max_memkb").GetInt32(),
                config.GetProperty("b_info").GetProperty("target_memkb").GetInt32(), config.GetProperty("b_info").GetProperty("cmdline").GetString()));
            Assert.Equal("preserve", json.RootElement[1].GetProperty("config").GetProperty("on_crash").GetString());
        }

        string[] top = _daemon.Do("top", "-b", "-i", "2", "-d", "0.1").TrimEnd().Split('\n');
        Assert.Equal(6, top.Length);
        Assert.Equal("      NAME  STATE   CPU(sec) CPU(%)     MEM(k) MEM(%)  MAXMEM(k) MAXMEM(%) VCPUS NETS NETTX(k) NETRX(k) VBDS   VBD_OO   VBD_RD   VBD_WR  VBD_RSECT  VBD_WSECT SSID", top[0]);
        Assert.Matches(@"^      beta ----p- +\d+ +\d+\.\d      16384 +\d+\.\d      16384 +\d+\.\d     2    0        0        0    0        0        0        0          0          0    0$", top[2]);

        Assert.Equal("", _daemon.Do("unpause", "beta"));
        Assert.Equal("", _daemon.Do("rename", "beta", "gamma"));
        Assert.Equal("gamma\n", _daemon.Do("domname", "2"));
        Assert.Equal("", _daemon.Do("mem-set", "alpha", "48"));
        Assert.Equal("", _daemon.Do("vcpu-set", "gamma", "1"));
        Assert.Equal("dbt: more than its maximum", _daemon.Refused("mem-set", "alpha", "65").Replace("66560 KiB is ", "", StringComparison.Ordinal)[..26]);
        using (var counters = JsonDocument.Parse(_daemon.Do("stats", "alpha")))
        {
            Assert.True(counters.RootElement.GetProperty("instructions").GetProperty("total").GetInt64() > 0);
        }

        Assert.Contains("built from the embedded guest", _daemon.Do("dmesg", "alpha"), StringComparison.Ordinal);
        string image = Path.Combine(_daemon.Path, "b.img");
        File.WriteAllBytes(image, new byte[64 << 10]);
        Assert.Equal("", _daemon.Do("block-attach", "alpha", "b.img,raw,xvdb,rw"));
        Assert.StartsWith("Vdev  BE  handle state evt-ch ring-ref BE-path                       \n51728 0   51728 ", _daemon.Do("block-list", "alpha"), StringComparison.Ordinal);
        Assert.Equal("", _daemon.Do("network-attach", "alpha", "mac=00:16:3e:00:00:07,bridge=user"));
        Assert.Contains("00:16:3e:00:00:07", _daemon.Do("network-list", "alpha"), StringComparison.Ordinal);

        Assert.Equal("", _daemon.Do("destroy", "alpha"));
        Assert.Equal(["gamma"], _daemon.List().Select(row => row.Name));
        Assert.Equal("Shutting down domain 2\n", _daemon.Do("shutdown", "gamma"));
        Assert.Contains("1 domains run (gamma)", _daemon.Refused("daemon", "stop"), StringComparison.Ordinal);
        Assert.Equal("", _daemon.Do("daemon", "stop", "--force"));
        Assert.Empty(_daemon.List());
        Assert.Equal("dbt: no daemon runs\n", _daemon.Refused("daemon", "stop"));
    }

    [Fact]
    public void InformationHasXlsKeysAtTheirWidth()
    {
        string[] rows = _daemon.Do("info").TrimEnd('\n').Split('\n');
        Assert.All(rows, row => Assert.Equal(": ", row.Substring(23, 2)));
        string[] expected =
        [
            "host", "release", "version", "machine", "nr_cpus", "max_cpu_id", "nr_nodes", "cores_per_socket", "cpu_mhz", "virt_caps", "total_memory", "free_memory", "free_cpus",
            "xen_major", "xen_minor", "xen_extra", "xen_version", "xen_caps", "xen_scheduler", "xen_pagesize", "platform_params", "xen_changeset", "xen_commandline", "cc_compiler",
        ];
        Assert.Equal(expected, rows.Select(row => row[..23].TrimEnd()).Take(expected.Length));
        Assert.Contains($"nr_cpus                : {Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture)}", rows);
        Assert.Contains("dbt_daemon             : not running", rows);
    }

    [Fact]
    public void WhatCannotBeIsToldAndStartsNoGuest()
    {
        Assert.StartsWith("dbt: nowhere.cfg: no such file", _daemon.Refused("create", "nowhere.cfg"), StringComparison.Ordinal);
        Assert.StartsWith("dbt: unknown option --frobnicate", _daemon.Refused("create", "--frobnicate"), StringComparison.Ordinal);
        Assert.StartsWith("dbt: command line:1:6: name=\"a/b\" is not a name", _daemon.Refused("create", "name=a/b"), StringComparison.Ordinal);
        File.WriteAllText(Path.Combine(_daemon.Path, "text"), "#!/bin/sh");
        File.WriteAllText(Path.Combine(_daemon.Path, "good.cfg"), "name='x'\nkernel='text'\n");
        Assert.Contains("text: not a kernel", _daemon.Refused("create", "-n", "good.cfg"), StringComparison.Ordinal);
        Assert.Equal("Parsing config from good.cfg\n", _daemon.Run("create", "good.cfg").Output);
        Assert.Contains("text: not a kernel", _daemon.Refused("create", "-q", "-f", "good.cfg"), StringComparison.Ordinal);
        Assert.Equal("nobody is an invalid domain identifier\n", _daemon.Refused("console", "nobody"));
        Assert.Contains("no console of type 'vnc'", _daemon.Refused("console", "-t", "vnc", "nobody"), StringComparison.Ordinal);
        Assert.Contains("no console 1", _daemon.Refused("console", "-n", "1", "nobody"), StringComparison.Ordinal);
        Assert.Contains("'ab' is no key", _daemon.Refused("console", "-e", "ab", "nobody"), StringComparison.Ordinal);
        Assert.Contains("-d takes seconds", _daemon.Refused("top", "-d", "0"), StringComparison.Ordinal);
        Assert.Contains("a number of seconds is expected", _daemon.Refused("daemon", "--idle", "-1"), StringComparison.Ordinal);

        // These have come as far as the daemon.
        Assert.Equal("", _daemon.Do("create", "name=one", "memory=16"));
        Assert.Equal("dbt: Domain with name \"one\" already exists.\n", _daemon.Refused("create", "name=one", "memory=16"));
        Assert.Contains("no MiB left", _daemon.Refused("create", "name=huge", "memory=16384").Replace("the machine has ", "", StringComparison.Ordinal).Replace("16384 ", "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Equal("Error: Domain '77' does not exist.\n", _daemon.Refused("pause", "77"));
        Assert.Contains("already exists", _daemon.Refused("rename", "1", "one/") + _daemon.Refused("create", "name=one"), StringComparison.Ordinal);
        string disk = Path.Combine(_daemon.Path, "d.img");
        File.WriteAllBytes(disk, new byte[64 << 10]);
        Assert.Equal("", _daemon.Do("create", "name=two", "memory=16", "disk=['d.img,raw,xvda,rw']"));
        Assert.Contains("d.img", _daemon.Refused("create", "name=three", "memory=16", "disk=['d.img,raw,xvda,rw']"), StringComparison.Ordinal);
        Assert.Equal(["one", "two"], _daemon.List().Select(row => row.Name));
    }

    [Fact]
    public void AGuestOfDbtRunIsDrivenByTheSameCommands()
    {
        using DaemonFolder.RunningCommand run = _daemon.Start("run", "--engine", "interpreter", "name=fore", "memory=16");
        run.Await("dbt> ");
        Assert.Equal("", _daemon.Do("create", "name=back", "memory=16"));
        Assert.Equal(["back", "fore"], _daemon.List().Select(row => row.Name));
        using (DaemonFolder.RunningCommand viewer = _daemon.Start("console", "fore"))
        {
            viewer.Await("dbt> ");
            viewer.Type("echo by both\n");
            viewer.Await("\nby both");
            run.Await("\nby both");
        }

        Assert.Equal("", _daemon.Do("rename", "fore", "front"));
        Assert.Equal("front\n", _daemon.Do("domname", _daemon.Do("domid", "front").Trim()));
        Assert.Contains("domid", _daemon.Do("list", "-l", "front"), StringComparison.Ordinal);
        Assert.Equal("", _daemon.Do("destroy", "front"));
        Assert.Equal(1, run.End());
        Assert.Equal(["back"], _daemon.List().Select(row => row.Name));
        Assert.StartsWith("dbt: on_reboot=\"rename-restart\" leaves two domains", _daemon.Refused("run", "on_reboot=rename-restart"), StringComparison.Ordinal);
    }
}
