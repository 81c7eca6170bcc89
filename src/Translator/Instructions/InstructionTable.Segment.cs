using Dbt.Translator.Emit.Routines;
using Dbt.Translator.Interpretation.Operations;
using Iced.Intel;

namespace Dbt.Translator.Instructions;

// Segment registers, descriptors, far transfers.
internal static unsafe partial class InstructionTable
{
    private static InstructionRow[] SegmentRows() =>
    [
        new(Mnemonic.Mov, "MOV", TestClass.Segment, &SegmentOperations.MovSegment, emit: EmitSegments.Mov, form: InstructionForm.Segment, traits: RowTraits.EndsBlock),
        new(Mnemonic.Push, "PUSH", TestClass.Segment, &SegmentOperations.PushSegment, emit: EmitSegments.Push, form: InstructionForm.Segment),
        new(Mnemonic.Pop, "POP", TestClass.Segment, &SegmentOperations.PopSegment, emit: EmitSegments.Pop, form: InstructionForm.Segment, traits: RowTraits.EndsBlock),
        new(Mnemonic.Lds, "LDS/LES/LFS/LGS/LSS", TestClass.Segment, &SegmentOperations.LoadFarPointer<LoadDs>, traits: RowTraits.EndsBlock),
        new(Mnemonic.Les, "LDS/LES/LFS/LGS/LSS", TestClass.Segment, &SegmentOperations.LoadFarPointer<LoadEs>, traits: RowTraits.EndsBlock),
        new(Mnemonic.Lfs, "LDS/LES/LFS/LGS/LSS", TestClass.Segment, &SegmentOperations.LoadFarPointer<LoadFs>, traits: RowTraits.EndsBlock),
        new(Mnemonic.Lgs, "LDS/LES/LFS/LGS/LSS", TestClass.Segment, &SegmentOperations.LoadFarPointer<LoadGs>, traits: RowTraits.EndsBlock),
        new(Mnemonic.Lss, "LDS/LES/LFS/LGS/LSS", TestClass.Segment, &SegmentOperations.LoadFarPointer<LoadSs>, traits: RowTraits.EndsBlock),
        new(Mnemonic.Lar, "LAR", TestClass.Segment, &SegmentOperations.Lar),
        new(Mnemonic.Lsl, "LSL", TestClass.Segment, &SegmentOperations.Lsl),
        new(Mnemonic.Verr, "VERR/VERW", TestClass.Segment, &SegmentOperations.Verr),
        new(Mnemonic.Verw, "VERR/VERW", TestClass.Segment, &SegmentOperations.Verw),
        new(Mnemonic.Arpl, "ARPL", TestClass.Segment, &SegmentOperations.Arpl),
        new(Mnemonic.Jmp, "JMP", TestClass.Segment, &FarOperations.Jmp, form: InstructionForm.Far, traits: Flow),
        new(Mnemonic.Call, "CALL", TestClass.Segment, &FarOperations.Call, form: InstructionForm.Far, traits: Flow),
        new(Mnemonic.Retf, "RET", TestClass.Segment, &FarOperations.Retf, traits: Flow),
        new(Mnemonic.Iret, "IRET/IRETD", TestClass.Segment, &FarOperations.Iret, traits: Flow),
        new(Mnemonic.Iretd, "IRET/IRETD", TestClass.Segment, &FarOperations.Iret, traits: Flow),
    ];
}
