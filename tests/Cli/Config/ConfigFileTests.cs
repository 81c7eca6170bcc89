using Dbt.Cli.Config;

namespace Dbt.Tests.Cli.Config;

public class ConfigFileTests
{
    private static ConfigFile Parse(string text) => ConfigFile.Parse("guest.cfg", text);

    private static string Text(ConfigFile file, string key) => Assert.IsType<ConfigString>(file[key]).Text;

    private static long Number(ConfigFile file, string key) => Assert.IsType<ConfigNumber>(file[key]).Value;

    private static string Error(string text) => Assert.Throws<ConfigException>(() => Parse(text)).Message;

    [Fact]
    public void StringsNumbersListsAndComments()
    {
        ConfigFile file = Parse("""
            # a guest
            name = "one" ; memory=0x40
            vcpus=010; extra = 'quiet "loud"'   # the rest is ignored
            disk = [ 'a,raw,xvda,w',   # first
                     "b,raw,xvdb,r",

                   ]
            nested = [ [ 1, 'two' ], [] ]
            """);
        Assert.Equal("one", Text(file, "name"));
        Assert.Equal(64, Number(file, "memory"));
        Assert.Equal(8, Number(file, "vcpus"));
        Assert.Equal("quiet \"loud\"", Text(file, "extra"));
        Assert.Equal(["a,raw,xvda,w", "b,raw,xvdb,r"], Assert.IsType<ConfigList>(file["disk"]).Items.Cast<ConfigString>().Select(s => s.Text));
        Assert.Equal(2, Assert.IsType<ConfigList>(file["nested"]).Items.Count);
        Assert.Equal(["name", "memory", "vcpus", "extra", "disk", "nested"], file.Keys);
    }

    [Fact]
    public void EscapesAreThoseOfC() =>
        Assert.Equal("a\tb\\c\"d'e\nfAB", Text(Parse("""x = "a\tb\\c\"d\'e\nf\x41\102" """), "x"));

    [Fact]
    public void CarriageReturnsAndByteOrderMarkDoNoHarm()
    {
        ConfigFile file = Parse("\uFEFFname='x'\r\nmemory=3\r\n");
        Assert.Equal(("x", 3L), (Text(file, "name"), Number(file, "memory")));
    }

    [Fact]
    public void TheLastSettingCountsAndPlusAdds()
    {
        ConfigFile file = Parse("a='1'\na='2'\na+='3'\nl=['x']\nl+=['y']\n");
        Assert.Equal("23", Text(file, "a"));
        Assert.Equal(2, Assert.IsType<ConfigList>(file["l"]).Items.Count);
    }

    [Theory]
    [InlineData("name = ", "guest.cfg:1:8: expected a string, a number or '[', found the end of the file")]
    [InlineData("name = \"one", "guest.cfg:1:8: the string has no closing \"")]
    [InlineData("a=1\nb=[1,\n2", "guest.cfg:2:3: the list has no closing ']'")]
    [InlineData("a=1 b=2", "guest.cfg:1:5: expected a newline or ';', found 'b'")]
    [InlineData("a=1\n\n  =2", "guest.cfg:3:3: expected a key, found '='")]
    [InlineData("a 1", "guest.cfg:1:3: expected '=' after a, found the number 1")]
    [InlineData("a=[1 2]", "guest.cfg:1:6: expected ',' or ']', found the number 2")]
    [InlineData("a=12k", "guest.cfg:1:3: '12k' is not a number; a string needs quotes")]
    [InlineData("a=089", "guest.cfg:1:3: '089' is not a number; a string needs quotes")]
    [InlineData("a=$x", "guest.cfg:1:3: unexpected character '$'")]
    [InlineData("a=foo", "guest.cfg:1:3: expected a string, a number or '[', found 'foo'")]
    [InlineData("a=\"\\q\"", "guest.cfg:1:4: unknown escape \\q in a string")]
    [InlineData("a='x'\na+=3", "guest.cfg:2:4: +=")]
    public void ErrorsNameFileLineAndColumn(string text, string expected) => Assert.StartsWith(expected, Error(text), StringComparison.Ordinal);

    [Fact]
    public void EndlessNestingIsRefused() => Assert.Contains("nested too deeply", Error("a=" + new string('[', 100_000)), StringComparison.Ordinal);

    [Fact]
    public void RandomTextParsesOrIsRefused()
    {
        const string alphabet = "a=1'\"[],;#\n\\x+ -0f";
        var random = new Random(3);
        for (int i = 0; i < 5000; i++)
        {
            string text = string.Concat(Enumerable.Range(0, random.Next(40)).Select(_ => alphabet[random.Next(alphabet.Length)]));
            try
            {
                _ = Parse(text);
            }
            catch (ConfigException)
            {
            }
        }
    }

    [Fact]
    public void TheCommandLineNeedsNoQuotes()
    {
        ConfigFile file = Parse("memory=32\nname='x'");
        foreach (string setting in (string[])["memory=64", "name=other guest", "kernel=/boot/vmlinuz", "disk=['a,raw,xvda,w']", "extra=\"a b\"", "root=", "on_reboot=1st"])
        {
            file.Override(setting);
        }

        Assert.Equal(64, Number(file, "memory"));
        Assert.Equal(("other guest", "/boot/vmlinuz", "a b", "", "1st"), (Text(file, "name"), Text(file, "kernel"), Text(file, "extra"), Text(file, "root"), Text(file, "on_reboot")));
        Assert.IsType<ConfigList>(file["disk"]);
        file.Override("extra+= c");
        Assert.Equal("a b c", Text(file, "extra"));
        Assert.Throws<ConfigException>(() => file.Override("nothing"));
        Assert.Throws<ConfigException>(() => file.Override("=x"));
        Assert.Throws<ConfigException>(() => file.Override("disk=['a'"));
    }
}
