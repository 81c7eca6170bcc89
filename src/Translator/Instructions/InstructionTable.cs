using System.Collections.Immutable;
using Iced.Intel;

namespace Dbt.Translator.Instructions;

/// <summary>
/// The one instruction table. Interpreter, translator, random tests and the coverage report all come from its rows.
/// A row is added in the partial file of its family.
/// </summary>
internal static partial class InstructionTable
{
    private const RowTraits Flow = RowTraits.SetsEip | RowTraits.EndsBlock;
    private const RowTraits Privileged = Flow | RowTraits.KeepsInstruction;
    private const RowTraits Absent = Flow | RowTraits.KeepsInstruction | RowTraits.Missing;

    private static readonly InstructionRow?[] ByMnemonic = new InstructionRow?[(int)Enum.GetValues<Mnemonic>().Max() + 1];
    private static readonly Dictionary<(Mnemonic, InstructionForm), InstructionRow> ByForm = [];

    static InstructionTable()
    {
        var rows = ImmutableArray.CreateBuilder<InstructionRow>();
        void Add(string family, InstructionRow[] familyRows)
        {
            foreach (InstructionRow row in familyRows)
            {
                row.Family = family;
                rows.Add(row);
                if (!ByForm.TryAdd((row.Mnemonic, row.Form), row))
                {
                    throw new InvalidOperationException($"Two rows for {row.Mnemonic} ({row.Form}).");
                }

                if (row.Form == InstructionForm.General)
                {
                    ByMnemonic[(int)row.Mnemonic] = row;
                }
            }
        }

        Add("Arithmetic", ArithmeticRows());
        Add("Logic", LogicRows());
        Add("Shift", ShiftRows());
        Add("Move", MoveRows());
        Add("Bit", BitRows());
        Add("Stack", StackRows());
        Add("ControlFlow", ControlFlowRows());
        Add("Flag", FlagRows());
        Add("String", StringRows());
        Add("Segment", SegmentRows());
        Add("System", SystemRows());
        Add("Fpu", FpuRows());
        Add("Simd", SimdRows());
        Rows = rows.ToImmutable();
    }

    /// <summary>All rows, family by family.</summary>
    public static ImmutableArray<InstructionRow> Rows { get; }

    /// <summary>The row of a mnemonic's ordinary form; null where this processor has no such instruction.</summary>
    public static InstructionRow? Lookup(Mnemonic mnemonic) => ByMnemonic[(int)mnemonic];

    /// <summary>The row of an instruction; null where this processor has no such instruction.</summary>
    public static InstructionRow? Lookup(in Instruction instruction)
    {
        InstructionForm form = FormOf(instruction);
        return form == InstructionForm.General
            ? ByMnemonic[(int)instruction.Mnemonic]
            : ByForm.GetValueOrDefault((instruction.Mnemonic, form));
    }

    /// <summary>Which of the instructions that share a mnemonic this is.</summary>
    public static InstructionForm FormOf(in Instruction instruction)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Mov:
                return Special(instruction.Op0Register) is var first && first != InstructionForm.General
                    ? first
                    : Special(instruction.Op1Register);
            case Mnemonic.Push or Mnemonic.Pop:
                return Special(instruction.Op0Register);
            case Mnemonic.Call:
                return instruction.IsCallFar || instruction.IsCallFarIndirect ? InstructionForm.Far : InstructionForm.General;
            case Mnemonic.Jmp:
                return instruction.IsJmpFar || instruction.IsJmpFarIndirect ? InstructionForm.Far : InstructionForm.General;
            case Mnemonic.Movsd:
                return instruction.Code == Code.Movsd_m32_m32 ? InstructionForm.General : InstructionForm.Vector;
            case Mnemonic.Cmpsd:
                return instruction.Code == Code.Cmpsd_m32_m32 ? InstructionForm.General : InstructionForm.Vector;
            default:
                return InstructionForm.General;
        }
    }

    private static InstructionForm Special(Register register)
    {
        if (register.IsSegmentRegister())
        {
            return InstructionForm.Segment;
        }

        return register.IsCR() || register.IsDR() || register.IsTR() ? InstructionForm.Control : InstructionForm.General;
    }
}
