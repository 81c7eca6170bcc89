using Iced.Intel;
using Decoder = Iced.Intel.Decoder;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>How often each encoding was run, by the kind of its operands.</summary>
internal sealed class VectorCounts
{
    private readonly long[] _runs = new long[(Enum.GetValues<Code>().Length + 1) * Kinds];

    /// <summary>Kinds of operands that are counted apart: registers only, memory.</summary>
    public const int Kinds = 2;

    /// <summary>Runs of an encoding.</summary>
    public ref long this[Code code, bool memory] => ref _runs[((int)code * Kinds) + (memory ? 1 : 0)];

    /// <summary>Counts each instruction of a vector's code.</summary>
    public void Add(TestVector vector, int times)
    {
        foreach (byte[] bytes in vector.Code)
        {
            Instruction instruction = Decoder.Create(vector.Bits, new ByteArrayCodeReader(bytes), 0).Decode();
            bool memory = Enumerable.Range(0, instruction.OpCount).Any(i => instruction.GetOpKind(i) is OpKind.Memory or (>= OpKind.MemorySegSI and <= OpKind.MemoryESRDI));
            this[instruction.Code, memory] += times;
        }
    }

    /// <summary>Adds another's counts.</summary>
    public void Add(VectorCounts other)
    {
        for (int i = 0; i < _runs.Length; i++)
        {
            _runs[i] += other._runs[i];
        }
    }

    /// <summary>A line for each encoding that was run: its name, runs with registers, runs with memory.</summary>
    public IEnumerable<string> Lines() =>
        from code in Enum.GetValues<Code>()
        where this[code, false] + this[code, true] > 0
        orderby code.ToString()
        select $"{code}\t{this[code, false]}\t{this[code, true]}";
}
