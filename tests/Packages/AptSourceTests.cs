using System.Text;
using Dbt.Cli.Guests;
using Dbt.Cli.Packages;

namespace Dbt.Tests.Packages;

/// <summary>What is a package's name, and what busybox answers to.</summary>
public sealed class AptSourceTests
{
    [Theory]
    [InlineData("python3-minimal", true)]
    [InlineData("g++", true)]
    [InlineData("lua5.4", true)]
    [InlineData("--force-yes", false)]
    [InlineData("bash-", false)]
    [InlineData("bash/stable", false)]
    [InlineData("a b", false)]
    [InlineData("", false)]
    public void OnlyNamesAreNames(string word, bool isName) => Assert.Equal(isName, AptSource.IsPackageName(word));

    [RequiresPackageFact(DebianFiles.Busybox)]
    public void BusyboxTellsItsApplets()
    {
        IReadOnlyList<string> applets = BusyboxApplets.Read(File.ReadAllBytes(DebianFiles.PathOf(DebianFiles.Busybox)));
        Assert.Equal("[", applets[0]);
        Assert.Equal("zcat", applets[^1]);
        Assert.Superset(new HashSet<string> { "init", "modprobe", "mount", "sh", "switch_root", "udhcpc", "poweroff", "wget" }, applets.ToHashSet());
    }

    [Fact]
    public void AFileWithoutAppletsIsRefused() =>
        Assert.Throws<PackageException>(() => BusyboxApplets.Read(Encoding.ASCII.GetBytes("\0[\0[[\0\x7f")));
}
