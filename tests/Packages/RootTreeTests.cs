using System.Formats.Tar;
using System.Text;
using Dbt.Cli.Guests;
using Dbt.Cli.Packages;
using Dbt.Tests.Xen.Builder;

namespace Dbt.Tests.Packages;

/// <summary>A root file system from packages' entries to an image, as e2fsprogs see it.</summary>
public sealed class RootTreeTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-root").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private RootTree NewTree() => new(Path.Combine(_folder, "root"));

    private static PaxTarEntry File_(string name, string text, int mode = 0x1A4, int user = 0, int group = 0) =>
        new(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(Encoding.UTF8.GetBytes(text)), Mode = (UnixFileMode)mode, Uid = user, Gid = group };

    [RequiresToolFact("mke2fs", "debugfs", "e2fsck")]
    public void TheImageHasOwnersModesLinksAndDevices()
    {
        RootTree tree = NewTree();
        tree.AddDirectory("usr/bin");
        tree.AddLink("bin", "usr/bin");
        tree.Add(File_("./bin/su", "program", 0x9ED, 0, 5)); // 4755
        tree.Add(new PaxTarEntry(TarEntryType.HardLink, "./bin/other") { LinkName = "./bin/su" });
        tree.Add(File_("./secret", "hidden", 0, 7, 8));
        tree.Add(File_("./a \"name\"", "quoted"));
        tree.AddCharacterDevice("dev/console", 5, 1);
        string image = Path.Combine(_folder, "image");
        RootImage.Make(tree, image, 64, _folder, CancellationToken.None);

        Tool.Filter("e2fsck", $"-fn {image}", []); // which ends with 0
        Assert.Equal("04755 0 5 2", Stat(image, "/usr/bin/su"));
        Assert.Equal("04755 0 5 2", Stat(image, "/usr/bin/other"));
        Assert.Equal("0000 7 8 1", Stat(image, "/secret"));
        Assert.Equal("0755 0 0", Stat(image, "/")[..8]);
        Assert.Equal("0600 0 0 1", Stat(image, "/dev/console"));
        Assert.Equal("quoted", Encoding.UTF8.GetString(Tool.Filter("debugfs", $"-R \"cat \\\"/a \\\"\\\"name\\\"\\\"\\\"\" {image}", [])));
        Assert.Contains("Fast link dest: \"usr/bin\"", Debug(image, "/bin"), StringComparison.Ordinal);
    }

    [Fact]
    public void ALinkNeverLeadsOutOfTheTree()
    {
        RootTree tree = NewTree();
        string outside = Path.Combine(_folder, "outside");
        Directory.CreateDirectory(outside);
        tree.AddLink("up", "../../outside");
        tree.AddLink("away", outside);
        tree.Add(File_("./up/one", "1"));
        tree.Add(File_("./away/two", "2"));
        tree.Add(File_("../../outside/three", "3"));
        Assert.Empty(Directory.EnumerateFileSystemEntries(outside));
        Assert.Equal("1", File.ReadAllText(Path.Combine(tree.Folder, "outside", "one")));
        Assert.Equal("2", File.ReadAllText(tree.HostPath("away/two")));
        Assert.StartsWith(tree.Folder + "/", tree.HostPath("away/two"), StringComparison.Ordinal);
    }

    [Fact]
    public void AFolderInTheWayOfALinkOutOfTheTreeIsMadeInTheTree()
    {
        RootTree tree = NewTree();
        string outside = Path.Combine(_folder, "outside");
        Directory.CreateDirectory(outside);
        tree.AddLink("away", outside);
        tree.AddDirectory("away");
        tree.Add(File_("./away/two", "2"));
        Assert.Empty(Directory.EnumerateFileSystemEntries(outside));
        Assert.Equal("2", File.ReadAllText(Path.Combine(tree.Folder, "away", "two")));
    }

    [Theory]
    [InlineData("a\n!touch done")]
    [InlineData("b\u0001")]
    public void ANameWithAControlCharacterIsRefused(string name)
    {
        RootTree tree = NewTree();
        Assert.Contains("control character", Assert.Throws<PackageException>(() => tree.Add(File_(name, ""))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void LinksThatGoRoundAreRefused()
    {
        RootTree tree = NewTree();
        tree.AddLink("a", "b");
        tree.AddLink("b", "a");
        Assert.Contains("too many links", Assert.Throws<PackageException>(() => tree.Add(File_("./a/file", ""))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ALaterFileReplacesAnEarlierOneAndNotItsLinks()
    {
        RootTree tree = NewTree();
        tree.Add(File_("./one", "first"));
        tree.Add(new PaxTarEntry(TarEntryType.HardLink, "./two") { LinkName = "./one" });
        tree.Add(File_("./one", "second"));
        Assert.Equal(("second", "first"), (File.ReadAllText(tree.HostPath("one")), File.ReadAllText(tree.HostPath("two"))));
    }

    [RequiresToolFact("mke2fs", "debugfs")]
    public void AnImageThatIsTooSmallSaysSo()
    {
        RootTree tree = NewTree();
        byte[] large = new byte[70 << 20]; // zeros would be holes
        Array.Fill(large, (byte)1);
        tree.AddFile("large", large);
        PackageException refusal = Assert.Throws<PackageException>(() => RootImage.Make(tree, Path.Combine(_folder, "image"), 64, _folder, CancellationToken.None));
        Assert.Contains("give a larger --size", refusal.Message, StringComparison.Ordinal);
    }

    // Mode, owner, group, links.
    private static string Stat(string image, string path)
    {
        string[] words = Debug(image, path).Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries);
        string After(string word) => words[Array.IndexOf(words, word) + 1];
        return $"{After("Mode:")} {After("User:")} {After("Group:")} {After("Links:")}";
    }

    private static string Debug(string image, string path) => Encoding.UTF8.GetString(Tool.Filter("debugfs", $"-R \"stat {path}\" {image}", []));
}
