using Dbt.Translator.Emit.Routines;
using Dbt.Translator.Interpretation.Operations;
using Dbt.Translator.Interpretation.Threaded;
using Iced.Intel;

namespace Dbt.Translator.Instructions;

// Data movement, exchange, conditional moves.
internal static unsafe partial class InstructionTable
{
    private static InstructionRow[] MoveRows() =>
    [
        new(Mnemonic.Mov, "MOV", TestClass.Move, &MoveOperations.Mov, emit: EmitMoves.Mov, threaded: &MoveOps.PickMov),
        new(Mnemonic.Movzx, "MOVZX", TestClass.Move, &MoveOperations.Movzx, emit: EmitMoves.Movzx, threaded: &MoveOps.PickMovzx),
        new(Mnemonic.Movsx, "MOVSX/MOVSXD", TestClass.Move, &MoveOperations.Movsx, emit: EmitMoves.Movsx, threaded: &MoveOps.PickMovsx),
        new(Mnemonic.Lea, "LEA", TestClass.Move, &MoveOperations.Lea, emit: EmitMoves.Lea, threaded: &MoveOps.PickLea),
        new(Mnemonic.Xchg, "XCHG", TestClass.Move, &MoveOperations.Xchg, emit: EmitMoves.Xchg),
        new(Mnemonic.Xadd, "XADD", TestClass.Alu, &MoveOperations.Xadd, emit: EmitLocked.Xadd),
        new(Mnemonic.Cmpxchg, "CMPXCHG", TestClass.Alu, &MoveOperations.Cmpxchg, emit: EmitLocked.Cmpxchg),
        new(Mnemonic.Cmpxchg8b, "CMPXCHG8B/CMPXCHG16B", TestClass.Alu, &MoveOperations.Cmpxchg8b, emit: EmitLocked.Cmpxchg8b),
        new(Mnemonic.Bswap, "BSWAP", TestClass.Move, &MoveOperations.Bswap, emit: EmitMoves.Bswap),
        new(Mnemonic.Xlatb, "XLAT/XLATB", TestClass.Move, &MoveOperations.Xlat),
        new(Mnemonic.Movbe, "MOVBE", TestClass.Move, &MoveOperations.Movbe),
        new(Mnemonic.Cmovo, "CMOVcc", TestClass.Move, &MoveOperations.Cmov, emit: EmitMoves.Cmovcc, threaded: &ConditionalOps.PickCmov),
        new(Mnemonic.Cmovno, "CMOVcc", TestClass.Move, &MoveOperations.Cmov, emit: EmitMoves.Cmovcc, threaded: &ConditionalOps.PickCmov),
        new(Mnemonic.Cmovb, "CMOVcc", TestClass.Move, &MoveOperations.Cmov, emit: EmitMoves.Cmovcc, threaded: &ConditionalOps.PickCmov),
        new(Mnemonic.Cmovae, "CMOVcc", TestClass.Move, &MoveOperations.Cmov, emit: EmitMoves.Cmovcc, threaded: &ConditionalOps.PickCmov),
        new(Mnemonic.Cmove, "CMOVcc", TestClass.Move, &MoveOperations.Cmov, emit: EmitMoves.Cmovcc, threaded: &ConditionalOps.PickCmov),
        new(Mnemonic.Cmovne, "CMOVcc", TestClass.Move, &MoveOperations.Cmov, emit: EmitMoves.Cmovcc, threaded: &ConditionalOps.PickCmov),
        new(Mnemonic.Cmovbe, "CMOVcc", TestClass.Move, &MoveOperations.Cmov, emit: EmitMoves.Cmovcc, threaded: &ConditionalOps.PickCmov),
        new(Mnemonic.Cmova, "CMOVcc", TestClass.Move, &MoveOperations.Cmov, emit: EmitMoves.Cmovcc, threaded: &ConditionalOps.PickCmov),
        new(Mnemonic.Cmovs, "CMOVcc", TestClass.Move, &MoveOperations.Cmov, emit: EmitMoves.Cmovcc, threaded: &ConditionalOps.PickCmov),
        new(Mnemonic.Cmovns, "CMOVcc", TestClass.Move, &MoveOperations.Cmov, emit: EmitMoves.Cmovcc, threaded: &ConditionalOps.PickCmov),
        new(Mnemonic.Cmovp, "CMOVcc", TestClass.Move, &MoveOperations.Cmov, emit: EmitMoves.Cmovcc, threaded: &ConditionalOps.PickCmov),
        new(Mnemonic.Cmovnp, "CMOVcc", TestClass.Move, &MoveOperations.Cmov, emit: EmitMoves.Cmovcc, threaded: &ConditionalOps.PickCmov),
        new(Mnemonic.Cmovl, "CMOVcc", TestClass.Move, &MoveOperations.Cmov, emit: EmitMoves.Cmovcc, threaded: &ConditionalOps.PickCmov),
        new(Mnemonic.Cmovge, "CMOVcc", TestClass.Move, &MoveOperations.Cmov, emit: EmitMoves.Cmovcc, threaded: &ConditionalOps.PickCmov),
        new(Mnemonic.Cmovle, "CMOVcc", TestClass.Move, &MoveOperations.Cmov, emit: EmitMoves.Cmovcc, threaded: &ConditionalOps.PickCmov),
        new(Mnemonic.Cmovg, "CMOVcc", TestClass.Move, &MoveOperations.Cmov, emit: EmitMoves.Cmovcc, threaded: &ConditionalOps.PickCmov),
        new(Mnemonic.Seto, "SETcc", TestClass.Move, &MoveOperations.Set, emit: EmitMoves.Setcc, threaded: &ConditionalOps.PickSet),
        new(Mnemonic.Setno, "SETcc", TestClass.Move, &MoveOperations.Set, emit: EmitMoves.Setcc, threaded: &ConditionalOps.PickSet),
        new(Mnemonic.Setb, "SETcc", TestClass.Move, &MoveOperations.Set, emit: EmitMoves.Setcc, threaded: &ConditionalOps.PickSet),
        new(Mnemonic.Setae, "SETcc", TestClass.Move, &MoveOperations.Set, emit: EmitMoves.Setcc, threaded: &ConditionalOps.PickSet),
        new(Mnemonic.Sete, "SETcc", TestClass.Move, &MoveOperations.Set, emit: EmitMoves.Setcc, threaded: &ConditionalOps.PickSet),
        new(Mnemonic.Setne, "SETcc", TestClass.Move, &MoveOperations.Set, emit: EmitMoves.Setcc, threaded: &ConditionalOps.PickSet),
        new(Mnemonic.Setbe, "SETcc", TestClass.Move, &MoveOperations.Set, emit: EmitMoves.Setcc, threaded: &ConditionalOps.PickSet),
        new(Mnemonic.Seta, "SETcc", TestClass.Move, &MoveOperations.Set, emit: EmitMoves.Setcc, threaded: &ConditionalOps.PickSet),
        new(Mnemonic.Sets, "SETcc", TestClass.Move, &MoveOperations.Set, emit: EmitMoves.Setcc, threaded: &ConditionalOps.PickSet),
        new(Mnemonic.Setns, "SETcc", TestClass.Move, &MoveOperations.Set, emit: EmitMoves.Setcc, threaded: &ConditionalOps.PickSet),
        new(Mnemonic.Setp, "SETcc", TestClass.Move, &MoveOperations.Set, emit: EmitMoves.Setcc, threaded: &ConditionalOps.PickSet),
        new(Mnemonic.Setnp, "SETcc", TestClass.Move, &MoveOperations.Set, emit: EmitMoves.Setcc, threaded: &ConditionalOps.PickSet),
        new(Mnemonic.Setl, "SETcc", TestClass.Move, &MoveOperations.Set, emit: EmitMoves.Setcc, threaded: &ConditionalOps.PickSet),
        new(Mnemonic.Setge, "SETcc", TestClass.Move, &MoveOperations.Set, emit: EmitMoves.Setcc, threaded: &ConditionalOps.PickSet),
        new(Mnemonic.Setle, "SETcc", TestClass.Move, &MoveOperations.Set, emit: EmitMoves.Setcc, threaded: &ConditionalOps.PickSet),
        new(Mnemonic.Setg, "SETcc", TestClass.Move, &MoveOperations.Set, emit: EmitMoves.Setcc, threaded: &ConditionalOps.PickSet),
    ];
}
