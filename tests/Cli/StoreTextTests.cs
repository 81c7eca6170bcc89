using System.Text;
using Dbt.Cli.Api;
using Dbt.Cli.Commands;
using Google.Protobuf;

namespace Dbt.Tests.Cli;

/// <summary>Text of xenstore's commands, as Xen's own have it.</summary>
public sealed class StoreTextTests
{
    [Theory]
    [InlineData("plain text, ~", "plain text, ~")]
    [InlineData("a\tb\nc\rd\\e\"", "a\\tb\\nc\\rd\\\\e\"")]
    [InlineData("\0\a\b\u001f\u007f", "\\000\\007\\x08\\x1f\\x7f")]
    [InlineData("\u00e9", "\\xe9")]
    public void ValuesAreEscapedAsInC(string bytes, string text)
    {
        byte[] value = Encoding.Latin1.GetBytes(bytes);
        Assert.Equal(text, StoreText.Escape(value));
        Assert.Equal(value, StoreText.Unescape(text));
    }

    [Theory]
    [InlineData("\\x4", "\u0004")]
    [InlineData("\\x4g", "\u0004g")]
    [InlineData("\\1019", "A9")]
    [InlineData("\\q\\", "q\\")]
    [InlineData("", "")]
    public void WhatIsTypedMayBeShorter(string text, string bytes) => Assert.Equal(Encoding.Latin1.GetBytes(bytes), StoreText.Unescape(text));

    [Fact]
    public void EveryByteComesBack() => Assert.All(Enumerable.Range(0, 256), b => Assert.Equal([(byte)b], StoreText.Unescape(StoreText.Escape([(byte)b]))));

    [Theory]
    [InlineData("/", "/a/b", "v", false, false, " b = \"v\"")]
    [InlineData("/a", "/a/b", "v", false, false, "b = \"v\"")]
    [InlineData("/", "/a/b", "v", true, false, "/a/b = \"v\"")]
    [InlineData("/", "/a/b", "v", true, true, "/a/b = \"v\"   (n0,r1)")]
    [InlineData("/", "/a/b", "", false, true, " b = \"\"  . . . . . . . . . . . . . . . . . . . . . . . . . .  (n0,r1)")]
    [InlineData("/a", "/a/b", "", false, true, "b = \"\" . . . . . . . . . . . . . . . . . . . . . . . . . . .  (n0,r1)")]
    public void LinesAreThoseOfXen(string root, string path, string value, bool full, bool permissions, string line) =>
        Assert.Equal(line, new StoreListing(root, full, permissions, StoreListing.DefaultWidth).Line(Node(path, value)));

    [Fact]
    public void LongValuesAreCutToTheWidthUnlessPathsAreWhole()
    {
        string value = new('x', 100);
        string line = new StoreListing("/", full: false, permissions: true, width: 40).Line(Node("/key", value));
        Assert.Equal("key = \"" + value[..29] + "\\...\"  (n0,r1)", line);
        Assert.Equal("/key = \"" + value + "\"", new StoreListing("/", full: true, permissions: false, width: 40).Line(Node("/key", value)));
        Assert.Equal("key = \"" + value[..67] + "\"", new StoreListing("/", full: false, permissions: false, width: 78).Line(Node("/key", value[..67])));
        Assert.StartsWith("key = \"xxx", new StoreListing("/", full: false, permissions: false, width: 78).Line(Node("/key", value[..68])), StringComparison.Ordinal);
        Assert.EndsWith("\\...\"", new StoreListing("/", full: false, permissions: false, width: 78).Line(Node("/key", value[..68])), StringComparison.Ordinal);
        Assert.Equal(" = \"\\...\"", new StoreListing("/", full: false, permissions: false, width: 2).Line(Node("/key", value)));
    }

    private static StoreNode Node(string path, string value) =>
        new() { Path = path, Value = ByteString.CopyFromUtf8(value), Permissions = { "n0", "r1" } };
}
