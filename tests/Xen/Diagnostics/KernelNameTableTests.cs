using System.Text;
using Dbt.Xen.Diagnostics;

namespace Dbt.Tests.Xen.Diagnostics;

/// <summary>The names that a stripped Linux has of itself, in tables as scripts/kallsyms.c writes them.</summary>
public sealed class KernelNameTableTests
{
    private const uint Start = 0xC100_0000;
    private const int Names = 1500;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void NamesAreFound(bool withOrder)
    {
        byte[] file = Make(withOrder, out _);
        List<(uint Address, string Name)> functions = KernelNameTable.Read(file);
        Assert.Equal(Names - (Names / 10), functions.Count); // each tenth is data
        Assert.Equal((Start + 0x10, "do_1"), functions[0]);
        Assert.Equal((Start + (1499 * 0x10), "do_1499" + new string('x', 199 - 8)), functions[^1]);
        Assert.DoesNotContain(functions, function => function.Name == "do_10");
    }

    [Fact]
    public void TablesThatDoNotAgreeAreNone()
    {
        byte[] file = Make(withOrder: false, out int marker);
        file[marker]++;
        Assert.Empty(KernelNameTable.Read(file));
        Assert.Empty(KernelNameTable.Read(new byte[100]));
        Assert.Empty(KernelNameTable.Read([.. Enumerable.Repeat("0\01\02\03\04\05\06\07\08\09\0"u8.ToArray(), 20).SelectMany(digits => digits)]));
    }

    private static byte[] Make(bool withOrder, out int secondMarker)
    {
        // Tokens: a character's own, but for two of letters that names have often.
        string[] tokens = [.. Enumerable.Range(0, 256).Select(number => number is > 32 and < 127 ? ((char)number).ToString() : $"unused{number}")];
        tokens[1] = "do_";
        tokens[2] = "Td";
        tokens[3] = "o_";
        var file = new List<byte>(Encoding.ASCII.GetBytes("0\01\02\03\04\05\06\07\08\09\0abcdef")); // not the tokens: nothing stands before
        Align(file);
        for (uint number = 0; number < Names; number++)
        {
            file.AddRange(BitConverter.GetBytes(number * 0x10));
        }

        file.AddRange(BitConverter.GetBytes(Start));
        file.AddRange(BitConverter.GetBytes(Names));
        var markers = new List<uint>();
        int names = file.Count;
        for (int number = 0; number < Names; number++)
        {
            if (number % 256 == 0)
            {
                markers.Add((uint)(file.Count - names));
            }

            // The last one is long enough for a length of two bytes.
            byte[] name = [.. number % 10 == 0 ? [(byte)'d', 1] : (byte[])[2, 3], .. Encoding.ASCII.GetBytes($"{number}"), .. number == Names - 1 ? Enumerable.Repeat((byte)'x', 191) : []];
            file.AddRange(name.Length < 128 ? [(byte)name.Length] : [(byte)(name.Length | 0x80), (byte)(name.Length >> 7)]);
            file.AddRange(name);
        }

        Align(file);
        secondMarker = file.Count + 4;
        markers.ForEach(marker => file.AddRange(BitConverter.GetBytes(marker)));
        if (withOrder)
        {
            file.AddRange(Enumerable.Range(0, Names).SelectMany(number => (byte[])[0, (byte)(number >> 8), (byte)number]));
            Align(file);
        }

        var begins = new List<ushort>();
        int start = file.Count;
        foreach (string token in tokens)
        {
            begins.Add((ushort)(file.Count - start));
            file.AddRange(Encoding.ASCII.GetBytes(token + "\0"));
        }

        Align(file);
        begins.ForEach(begin => file.AddRange(BitConverter.GetBytes(begin)));
        file.AddRange(new byte[64]);
        return [.. file];
    }

    private static void Align(List<byte> file)
    {
        while (file.Count % 4 != 0)
        {
            file.Add(0);
        }
    }
}
