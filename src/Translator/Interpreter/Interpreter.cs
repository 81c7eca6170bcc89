namespace Dbt.Translator.Interpretation;

/// <summary>Executes decoded instructions on one virtual processor's thread.</summary>
internal sealed unsafe partial class Interpreter
{
}
