using Iced.Intel;

namespace Dbt.Tests.Translator.Cache;

/// <summary>Functions of the host's own code for tests.</summary>
internal static class HostCode
{
    /// <summary>Assembles 64-bit code that has no place yet.</summary>
    public static byte[] Assemble(Action<Assembler> write)
    {
        var a = new Assembler(64);
        write(a);
        using var stream = new MemoryStream();
        a.Assemble(new StreamCodeWriter(stream), 0);
        return stream.ToArray();
    }

    /// <summary>Its instructions, one behind the other.</summary>
    public static List<Instruction> Instructions(byte[] bytes)
    {
        var instructions = new List<Instruction>();
        var decoder = Decoder.Create(64, bytes);
        while (decoder.IP < (ulong)bytes.Length)
        {
            instructions.Add(decoder.Decode());
        }

        return instructions;
    }

    /// <summary>What they are.</summary>
    public static List<Mnemonic> Mnemonics(byte[] bytes) => Instructions(bytes).ConvertAll(static i => i.Mnemonic);
}
