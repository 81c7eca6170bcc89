using System.Text;
using Dbt.Cli.Guests;
using Dbt.Tests.Xen.Builder;

namespace Dbt.Tests.Packages;

/// <summary>Our archives as cpio reads them.</summary>
public sealed class CpioArchiveTests
{
    private static CpioArchive Sample()
    {
        var archive = new CpioArchive();
        archive.AddDirectory("proc");
        archive.AddFile("bin/deep/tool", "12345"u8, 0x1ED);
        archive.AddFile("empty", [], 0x1A4);
        archive.AddLink("bin/sh", "deep/tool");
        archive.AddCharacterDevice("dev/console", 5, 1);
        return archive;
    }

    [RequiresToolFact("cpio")]
    public void CpioListsWhatWasPutIn()
    {
        string list = Encoding.UTF8.GetString(Tool.Filter("cpio", "-itv --numeric-uid-gid --quiet", Sample().ToArray()));
        string[] lines = [.. list.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => string.Join(' ', line.Split(' ', StringSplitOptions.RemoveEmptyEntries)))];
        string[] kinds = ["drwxr-xr-x 1 0 0 0 ", "drwxr-xr-x 1 0 0 0 ", "drwxr-xr-x 1 0 0 0 ", "-rwxr-xr-x 1 0 0 5 ", "-rw-r--r-- 1 0 0 0 ", "lrwxrwxrwx 1 0 0 9 ", "drwxr-xr-x 1 0 0 0 ", "crw------- 1 0 0 5, 1 "];
        string[] names = ["proc", "bin", "bin/deep", "bin/deep/tool", "empty", "bin/sh -> deep/tool", "dev", "dev/console"];
        Assert.Equal(kinds.Zip(names), lines.Select(line => (kinds.First(kind => line.StartsWith(kind, StringComparison.Ordinal)), string.Join(' ', line.Split(' ')[^(line.Contains("->", StringComparison.Ordinal) ? 3 : 1)..]))));
    }

    [RequiresToolFact("cpio")]
    public void CpioReadsContents() =>
        Assert.Equal("12345", Encoding.UTF8.GetString(Tool.Filter("cpio", "-i --to-stdout --quiet bin/deep/tool", Sample().ToArray())));

    [Fact]
    public void APathIsThereOnce() => Assert.Throws<ArgumentException>(() => Sample().AddFile("bin/sh", [], 0x1ED));
}
