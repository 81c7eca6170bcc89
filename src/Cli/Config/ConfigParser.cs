namespace Dbt.Cli.Config;

/// <summary>The grammar of xl.cfg: statements KEY = VALUE or KEY += VALUE, ended by newline or semicolon; a value is a string, a number or a list.</summary>
internal sealed class ConfigParser
{
    // A list within a list within a list has no meaning in any key; the bound keeps a hostile file from using up the stack.
    private const int MaxDepth = 16;

    private readonly ConfigLexer _lexer;
    private Token _token;

    public ConfigParser(ConfigLexer lexer)
    {
        _lexer = lexer;
        _token = lexer.Next();
    }

    /// <summary>Parses all statements.</summary>
    public void ParseInto(ConfigFile file)
    {
        while (_token.Kind != TokenKind.EndOfFile)
        {
            if (_token.Kind == TokenKind.EndOfStatement)
            {
                Advance();
                continue;
            }

            Token key = _token;
            if (key.Kind != TokenKind.Identifier)
            {
                throw Unexpected("a key");
            }

            Advance();
            bool append = _token.Kind == TokenKind.PlusEquals;
            if (!append && _token.Kind != TokenKind.Equals)
            {
                throw Unexpected($"'=' after {key.Text}");
            }

            Advance();
            file.Set(key.Text, Value(0), append);
            if (_token.Kind is not (TokenKind.EndOfStatement or TokenKind.EndOfFile))
            {
                throw Unexpected("a newline or ';'");
            }
        }
    }

    private ConfigValue Value(int depth)
    {
        Token token = _token;
        switch (token.Kind)
        {
            case TokenKind.String:
                Advance();
                return new ConfigString(token.Position, token.Text);
            case TokenKind.Number:
                Advance();
                return new ConfigNumber(token.Position, token.Number);
            case TokenKind.OpenBracket when depth < MaxDepth:
                return List(depth + 1);
            case TokenKind.OpenBracket:
                throw new ConfigException(token.Position, "lists are nested too deeply");
            default:
                throw Unexpected("a string, a number or '['");
        }
    }

    private ConfigList List(int depth)
    {
        ConfigPosition position = _token.Position;
        var items = new List<ConfigValue>();
        Advance();
        while (_token.Kind != TokenKind.CloseBracket)
        {
            items.Add(Value(depth));
            if (_token.Kind == TokenKind.Comma)
            {
                Advance();
            }
            else if (_token.Kind == TokenKind.EndOfFile)
            {
                throw new ConfigException(position, "the list has no closing ']'");
            }
            else if (_token.Kind != TokenKind.CloseBracket)
            {
                throw Unexpected("',' or ']'");
            }
        }

        Advance();
        return new ConfigList(position, items);
    }

    private void Advance() => _token = _lexer.Next();

    private ConfigException Unexpected(string wanted)
    {
        string found = _token.Kind switch
        {
            TokenKind.Identifier => $"'{_token.Text}'",
            TokenKind.String => "a string",
            TokenKind.Number => $"the number {_token.Text}",
            TokenKind.Equals => "'='",
            TokenKind.PlusEquals => "'+='",
            TokenKind.OpenBracket => "'['",
            TokenKind.CloseBracket => "']'",
            TokenKind.Comma => "','",
            TokenKind.EndOfStatement => "the end of the line",
            _ => "the end of the file",
        };
        return new ConfigException(_token.Position, $"expected {wanted}, found {found}");
    }
}
