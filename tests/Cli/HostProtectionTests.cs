using Dbt.Cli.Running;
using Dbt.Xen.Builder;
using Dbt.Xen.Diagnostics;

namespace Dbt.Tests.Cli;

/// <summary>What keeps a guest, or whoever speaks the API, from wearing the host out.</summary>
public sealed class HostProtectionTests
{
    [Fact]
    public void AGuestThatCrashesAgainAndAgainWaitsLongerEachTime()
    {
        var delay = new RestartDelay();
        TimeSpan shortLife = TimeSpan.FromSeconds(2);
        Assert.Equal([0, 1, 2, 4, 8], Enumerable.Range(0, 5).Select(_ => delay.Next(shortLife, crashed: true).TotalSeconds));
        for (int i = 0; i < 100; i++)
        {
            Assert.InRange(delay.Next(shortLife, crashed: true), TimeSpan.FromSeconds(16), RestartDelay.Longest);
        }

        Assert.Equal(RestartDelay.Longest, delay.Next(shortLife, crashed: true));

        // A life that was worth it, or a reboot, and all is forgiven.
        Assert.Equal(TimeSpan.Zero, delay.Next(RestartDelay.Short, crashed: true));
        Assert.Equal(TimeSpan.Zero, delay.Next(shortLife, crashed: true));
        Assert.Equal(TimeSpan.FromSeconds(1), delay.Next(shortLife, crashed: true));
        Assert.Equal(TimeSpan.Zero, delay.Next(shortLife, crashed: false));
        Assert.Equal(TimeSpan.Zero, delay.Next(shortLife, crashed: true));
    }

    [Fact]
    public void MemoryThatTheHostHasNotIsRefusedWithWhatThereIs()
    {
        HostMemoryCheck.Require("web", 512, 512UL << 20);
        HostMemoryCheck.Require("web", 16384, null);
        string message = Assert.Throws<DomainBuildException>(() => HostMemoryCheck.Require("web", 513, 512UL << 20)).Message;
        Assert.Contains("web is to have 513 MiB", message, StringComparison.Ordinal);
        Assert.Contains("has 512 MiB free", message, StringComparison.Ordinal);
        Assert.Equal((1000UL + 24) << 10, HostMemoryCheck.FromMemoryInformation(["MemTotal:  9999 kB", "MemAvailable:   1000 kB", "SwapFree:     24 kB"]));
        Assert.Null(HostMemoryCheck.FromMemoryInformation(["MemTotal:  9999 kB"]));
        Assert.InRange(HostMemoryCheck.Available() ?? 1 << 20, 1UL << 20, 1UL << 50);
    }

    [Fact]
    public void NamesOfAKernelsFunctionsHoldNoControlCharacters()
    {
        using var map = new StringReader("c0001000 T good\nc0002000 T evil\u001B[2Jname\nc0003000 T " + new string('l', 5000) + "\nc0004000 T end\n");
        SymbolTable table = SymbolTable.ReadSystemMap(map)!;
        Assert.Equal("good", table.Find(0xC0001000)!.Value.Name);
        Assert.Equal("evil?[2Jname", table.Find(0xC0002000)!.Value.Name);
        Assert.Equal(512, table.Find(0xC0003000)!.Value.Name.Length);
    }
}
