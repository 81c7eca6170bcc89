using Iced.Intel;

namespace Dbt.Translator.Emit;

/// <summary>
/// The translator's routine of an instruction-table row: writes the IL of one instruction into <paramref name="emitter"/>.
/// </summary>
/// <param name="emitter">The translation in progress.</param>
/// <param name="instruction">The decoded instruction.</param>
/// <returns>False where this form is not translated: the block then leaves to the interpreter for it. Nothing may have been emitted.</returns>
internal delegate bool EmitRoutine(InstructionEmitter emitter, in Instruction instruction);
