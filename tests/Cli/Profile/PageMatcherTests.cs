using System.Text;
using Dbt.Cli.Profile;
using Dbt.Tests.Xen.Builder;

namespace Dbt.Tests.Cli.Profile;

/// <summary>Names for code that is told by the contents of its pages, wherever it was loaded.</summary>
public sealed class PageMatcherTests
{
    // Where ElfWriter puts the only segment's contents: behind the headers.
    private const uint Offset = 84, Base = 0x0804_8000;
    private const int DynamicSymbols = 11, SymbolTable = 2, Strings = 3;

    private readonly byte[] _code = new byte[3 * 4096];

    public PageMatcherTests() => new Random(7).NextBytes(_code);

    [Fact]
    public void APageIsFoundWhereverItWasLoaded()
    {
        byte[] file = File(DynamicSymbols, ("first", 0x100, 0x80), ("second", 0x1800, 0x10));
        ElfProgram program = ElfProgram.TryParse("/usr/lib/libx.so.6", file)!;
        byte[] other = new byte[4096], uniform = new byte[4096], last = new byte[4096];
        new Random(8).NextBytes(other);
        file.AsSpan(3 * 4096).CopyTo(last); // the file ends within the page: memory has zeros from there on
        var matcher = new PageMatcher([file[4096..8192], other, uniform, last, file[..4096]], page => page != 4);
        Assert.Equal(2, matcher.Look(program));
        Assert.False(matcher.IsDone); // the other page isn't explained
        Assert.Equal((program, Base + 4096), (matcher[0]!.Program, matcher[0]!.Address));
        Assert.Equal(Base + (3 * 4096), matcher[3]!.Address);
        Assert.Null(matcher[1]);
        Assert.Null(matcher[2]); // like any page of zeros
        Assert.Null(matcher[4]); // nobody asked
        Assert.Null(matcher[-1]);
        last[4095] = 1;
        Assert.Equal(0, new PageMatcher([last], _ => true).Look(program));
    }

    [Fact]
    public void FunctionsAreNamedByWhatTheFileExports()
    {
        ElfProgram program = ElfProgram.TryParse("libx.so.6", File(DynamicSymbols, ("second", 0x1800, 0x10), ("first", 0x100, 0x80), ("alias", 0x100, 0x80)))!;
        Assert.Equal(2, program.SymbolCount);
        Assert.Null(program.NameOf(Base + 0xFF));
        Assert.Equal("first", program.NameOf(Base + 0x100));
        Assert.Equal("first", program.NameOf(Base + 0x17F));
        Assert.Equal("behind first", program.NameOf(Base + 0x180));
        Assert.Equal("second", program.NameOf(Base + 0x180F));

        // The full table tells more, where it is there.
        byte[] both = Writer().Section(".dynsym", DynamicSymbols, Symbols(("e", 0x100, 1)), 2, 16).Section(".dynstr", Strings, Names("e"))
            .Section(".symtab", SymbolTable, Symbols(("local", 0x200, 1)), 4, 16).Section(".strtab", Strings, Names("local")).Build();
        Assert.Equal("local", ElfProgram.TryParse("x", both)!.NameOf(Base + 0x200));
    }

    [Fact]
    public void FilesThatAreNoProgramsAreLeftAlone()
    {
        byte[] file = File(DynamicSymbols, ("first", 0x100, 0x80));
        Assert.Null(ElfProgram.TryParse("short", file[..40]));
        Assert.Null(ElfProgram.TryParse("text", Encoding.ASCII.GetBytes(new string('x', 5000))));
        Assert.Null(ElfProgram.TryParse("x86-64", new ElfWriter { Machine = 62 }.Load(Base + Offset, _code).Build()));
        Assert.Null(ElfProgram.TryParse("cut", file[..200]));
        for (int at = 0; at < file.Length; at += 7)
        {
            byte[] damaged = [.. file];
            damaged[at] ^= 0xFF;
            ElfProgram.TryParse("damaged", damaged); // whatever it is, it doesn't throw
        }
    }

    [Fact]
    public void WordsOfSymbolsAreReadWithAndWithoutAddress()
    {
        string path = Path.GetTempFileName();
        try
        {
            Assert.Equal(new SymbolFiles.Place(path, null), SymbolFiles.Parse(path));
            Assert.Equal(new SymbolFiles.Place(path, 0xb7c00000), SymbolFiles.Parse(path + "@0xb7c00000"));
            Assert.Contains("no address", Assert.Throws<ProfileException>(() => SymbolFiles.Parse(path + "@b7x")).Message, StringComparison.Ordinal);
            Assert.Contains("there is no", Assert.Throws<ProfileException>(() => SymbolFiles.Parse(path + ".absent")).Message, StringComparison.Ordinal);
            Assert.Contains("no 32-bit x86 ELF", Assert.Throws<ProfileException>(() => SymbolFiles.Read(new SymbolFiles.Place(path, null)).ToList()).Message, StringComparison.Ordinal);
        }
        finally
        {
            System.IO.File.Delete(path);
        }
    }

    private ElfWriter Writer() => new ElfWriter().Load(Base + Offset, _code);

    private byte[] File(uint kind, params (string Name, uint Offset, uint Size)[] symbols) =>
        Writer().Section(".dynsym", kind, Symbols(symbols), 2, 16).Section(".dynstr", Strings, Names([.. symbols.Select(symbol => symbol.Name)])).Build();

    private static byte[] Names(params string[] names) => Encoding.ASCII.GetBytes("\0" + string.Concat(names.Select(name => name + "\0")));

    private static byte[] Symbols(params (string Name, uint Offset, uint Size)[] symbols)
    {
        var table = new List<byte>(new byte[16]);
        uint name = 1;
        foreach ((string text, uint offset, uint size) in symbols)
        {
            table.AddRange(BitConverter.GetBytes(name));
            table.AddRange(BitConverter.GetBytes(Base + offset));
            table.AddRange(BitConverter.GetBytes(size));
            table.AddRange([0x12, 0, 1, 0]); // a global function
            name += (uint)text.Length + 1;
        }

        return [.. table];
    }
}
