using Dbt.Translator.Instructions;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Interpretation.Threaded;

/// <summary>Makes ops of decoded instructions, and pairs of one.</summary>
internal static unsafe class OpBuilder
{
    // Differences of addresses in a state; a real object, because the runtime may touch what a field's address is taken of.
    private static readonly CpuState* State = CpuState.Allocate();
    private static readonly byte Zero = (byte)((byte*)&State->Zero - (byte*)State);
    private static readonly byte Segments = (byte)((byte*)&State->Segments - (byte*)State);

    /// <summary>The op of an instruction.</summary>
    /// <param name="d">The instruction, where it will stay.</param>
    /// <param name="row">Its row; null for what is only a fault.</param>
    /// <param name="number">Instructions of the block before it.</param>
    public static Op Make(DecodedInstruction* d, InstructionRow? row, int number)
    {
        bool isBranch = (d->Flags & DecodedFlags.SetsEip) != 0 && d->Kind0 == OperandKind.Immediate;
        bool isConditional = !isBranch && d->Condition != 0;
        return new Op
        {
            Routine = Routine(d, row),
            General = d,
            Immediate = isConditional ? d->Condition : d->Immediate,
            Displacement = isBranch ? d->NextEip : d->Displacement,
            Register0 = d->Register0,
            Register1 = d->Register1,
            Base = d->Base == DecodedInstruction.NoRegister ? Zero : (byte)(d->Base * 4),
            Index = d->Index == DecodedInstruction.NoRegister ? Zero : (byte)(d->Index * 4),
            Scale = d->Scale,
            Segment = (d->Flags & DecodedFlags.FlatSegment) != 0 ? Zero : (byte)(Segments + ((int)d->Segment * sizeof(Segment))),
            Number = (ushort)number,
        };
    }

    /// <summary>The routine of two instructions that follow one another, in the place of the first's; null where they go one by one.</summary>
    public static ThreadedRoutine Fuse(DecodedInstruction* first, InstructionRow firstRow, InstructionRow secondRow)
    {
        // A row without threaded forms has had its routine replaced: that is to run.
        if (firstRow.Threaded == null || secondRow.Threaded == null || !IsJcc(secondRow.Mnemonic))
        {
            return null;
        }

        int condition = (int)(first + 1)->Condition;
        if (!StackOps.IsFlat(in *(first + 1)))
        {
            return null;
        }

        return firstRow.Mnemonic switch
        {
            Mnemonic.Cmp => BranchOps.PickCompareBranch(in *first, condition),
            Mnemonic.Test => BranchOps.PickTestBranch(in *first, condition),
            _ => null,
        };
    }

    private static ThreadedRoutine Routine(DecodedInstruction* d, InstructionRow? row)
    {
        if (row == null)
        {
            return &GeneralOps.End;
        }

        ThreadedRoutine routine = row.Threaded == null ? null : row.Threaded(in *d);
        if (routine != null)
        {
            return routine;
        }

        bool ends = (row.Traits & RowTraits.EndsBlock) != 0;
        return (d->Flags & DecodedFlags.SetsEip) != 0
            ? ends ? &GeneralOps.EndSetsEip : &GeneralOps.SetsEip
            : ends ? &GeneralOps.End : &GeneralOps.Plain;
    }

    private static bool IsJcc(Mnemonic mnemonic) => mnemonic is
        Mnemonic.Jb or Mnemonic.Jae or Mnemonic.Je or Mnemonic.Jne or Mnemonic.Jbe or Mnemonic.Ja or Mnemonic.Js or Mnemonic.Jns
        or Mnemonic.Jl or Mnemonic.Jge or Mnemonic.Jle or Mnemonic.Jg;
}
