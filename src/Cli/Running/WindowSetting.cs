using Dbt.Cli.Config;
using Dbt.Translator;

namespace Dbt.Cli.Running;

/// <summary>When programs reach memory by an address window, from the environment.</summary>
internal static class WindowSetting
{
    /// <summary>The variable's name.</summary>
    public const string Variable = "DBT_WINDOWS";

    /// <summary>What the environment asks for.</summary>
    /// <exception cref="ConfigException">It is none of the words.</exception>
    public static WindowUse Current => Parse(Environment.GetEnvironmentVariable(Variable));

    /// <summary>The use that a word stands for.</summary>
    /// <exception cref="ConfigException">It is none of the words.</exception>
    public static WindowUse Parse(string? word) => word switch
    {
        null or "" or "settled" => WindowUse.WhenSettled,
        "always" => WindowUse.Always,
        "never" => WindowUse.Never,
        _ => throw new ConfigException($"{Variable}: '{word}' is none of never, settled, always"),
    };
}
